"""Control groups above containers: a node's, its quality of service classes', its pods'."""
