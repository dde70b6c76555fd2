"""The default RBAC policy of Kubernetes 1.36 as declarations, one line a rule."""
