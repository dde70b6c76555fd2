"""The service proxy: Services and EndpointSlices rendered into one nftables table."""
