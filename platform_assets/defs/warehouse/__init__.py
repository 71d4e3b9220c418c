"""The dbt models and what the warehouse publishes."""
