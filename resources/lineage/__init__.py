"""Lineage of this deployment: built from code, dbt and the registry, published as files, and asked from there."""
