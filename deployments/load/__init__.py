"""Measures the front door over HTTP: open-loop load, every acknowledgement in a ledger, what landed held against it."""
