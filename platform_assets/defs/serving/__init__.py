"""What answers requests: the online store, the exported champion and the route."""
