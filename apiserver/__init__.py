"""The API server: HTTP, access control, admission, registry, storage and watch cache."""
