"""Who may do what: one table, enforced before a body is read."""
