"""Images: pulling by policy with back-off and credentials, and garbage collection."""
