"""The HTTP face of the API server: request info, the handler chain, content negotiation, responses."""
