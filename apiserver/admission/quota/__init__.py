"""ResourceQuota: what a namespace may hold in all."""
