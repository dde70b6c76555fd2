"""etcd (or memory) as revisioned key-value storage."""
