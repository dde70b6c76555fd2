"""The kubelet: runs the pods of one node as containers of the Docker engine."""
