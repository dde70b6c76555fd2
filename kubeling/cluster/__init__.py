"""Bringing a cluster up and down."""
