"""What runs containers: the protocol, Docker, and a simulation."""
