"""Help for users' own tests."""
