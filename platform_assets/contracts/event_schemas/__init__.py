"""Schemas of payloads as versioned contracts: which schemas there can be, and which may follow which.

Pure: what is stored where, and what is in force, is in `resources.event_schemas`.
"""
