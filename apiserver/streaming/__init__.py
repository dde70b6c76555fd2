"""Streams to kubelets: log, exec, attach, port-forward, proxies."""
