"""Measures the warehouse at scale: 100 million events landed, loaded and built day by day, beside bare DuckDB."""
