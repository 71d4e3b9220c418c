"""From the route to the raw tables."""
