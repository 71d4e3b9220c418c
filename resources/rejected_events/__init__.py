"""Rejected events from where they landed, and their way back through the front door."""
