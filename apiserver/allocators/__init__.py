"""Cluster IPs and node ports, recorded in etcd so that several API servers agree."""
