"""The DNS server of the cluster."""
