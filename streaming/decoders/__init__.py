"""Processes that decode events for a worker that has fallen behind: its interpreter keeps it to one core."""
