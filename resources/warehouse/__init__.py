"""The warehouse: one DuckDB file with one writer, how landed records get in, and how readers get a copy."""

from resources.warehouse.database import Warehouse, WarehouseMissing
from resources.warehouse.lock import LockTimeout

__all__ = ["LockTimeout", "Warehouse", "WarehouseMissing"]
