"""``/metrics`` under upstream's names: parts count in plain numbers, which become Prometheus's form when somebody asks."""
