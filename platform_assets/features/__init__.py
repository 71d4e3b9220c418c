"""Point-in-time features and labels, computed in the warehouse by static SQL."""
