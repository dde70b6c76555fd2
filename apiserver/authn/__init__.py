"""Who sends a request: client certificates, bearer tokens, anonymous, and impersonation on top."""
