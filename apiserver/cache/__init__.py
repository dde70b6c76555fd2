"""The watch cache: one etcd watch feeds a ring and a map of bytes per kind."""
