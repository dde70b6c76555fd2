"""What writes of resource claims need besides the right to write claims."""
