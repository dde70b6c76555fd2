"""The scheduler: framework, plugins, queue, cycle, binding."""
