"""PodSecurity: the Pod Security Standards, enforced, warned of or audited by labels on the namespace."""
