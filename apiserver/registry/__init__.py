"""The generic registry: create, get, list, update, patch, delete and watch of any kind."""
