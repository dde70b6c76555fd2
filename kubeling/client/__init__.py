"""How a component talks to the API server."""
