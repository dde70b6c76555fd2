"""Table rendering, PartialObjectMetadata and the negotiation between them."""
