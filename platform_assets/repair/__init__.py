"""Mends rejected events by a declarative fix: which ones, and what to change in their bodies. Pure."""
