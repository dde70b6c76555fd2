"""The Node authorizer: a kubelet may reach what the pods on its node need, and no more."""
