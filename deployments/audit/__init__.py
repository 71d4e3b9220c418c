"""What is checked of the repository itself: its dependencies' known faults, and that no secret is in it."""
