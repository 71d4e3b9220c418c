"""Measures readers of metrics over HTTP while the warehouse is built and its marts are published, again and again."""
