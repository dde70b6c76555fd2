"""From a container of a pod spec to what the runtime is asked for."""
