"""Where every value comes from and where it goes: one graph of assets and columns, read from code and dbt's manifest.

Nothing here needs a running platform, a warehouse or Dagster. `sqlglot` is imported by the modules that read SQL only,
so that a process that just asks a published graph goes without it.
"""
