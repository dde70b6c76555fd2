"""Who may do what: RBAC, the Node authorizer, and the union that asks them in turn."""
