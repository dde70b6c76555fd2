"""API services behind other servers: which there are, whether they answer, and requests sent on to them."""
