"""What a request to a resource does, one module a family of verbs."""
