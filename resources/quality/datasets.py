"""Opens data sets by name, each with the others that its expectations refer to, on one connection."""

import contextlib
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from platform_assets.quality.dataset import Dataset
from platform_assets.quality.expectations import Drift, Expectation, ForeignKey
from platform_assets.quality.row_rules import CannotJudge, Reference
from platform_assets.quality.sql_text import quoted, text_literal
from resources.quality.custom_sql import CustomSql
from resources.quality.files import S3, DatasetUnreadable, is_file_name, local_relation, s3_relation
from resources.settings import Settings
from resources.settings.object_storage import ObjectStorageSettings
from resources.warehouse.database import MEMORY_LIMIT, Warehouse, WarehouseMissing
from resources.warehouse.snapshots import Snapshot, SnapshotUnreadable, read_pointer

_TABLE = re.compile(r"([a-z_][a-z0-9_]*)\.([a-z_][a-z0-9_]*)", re.IGNORECASE)
_PUBLISHED_SCHEMA = "marts"


class Datasets:
    """The data sets that this deployment can read: files of this machine, object storage, tables of the warehouse.

    Args:
        warehouse: where tables are read.
        snapshots: the folder of published marts; None to read the warehouse itself, also where a mart is published.
        storage: how to get into object storage.
    """

    def __init__(self, warehouse: Warehouse, snapshots: Path | None, storage: ObjectStorageSettings) -> None:
        self._warehouse = warehouse
        self._snapshots = snapshots
        self._storage = storage

    @classmethod
    def of(cls, settings: Settings, *, published: bool = True) -> "Datasets":
        """Those of a deployment; `published` marts are read where they are, and never wait for a writer."""
        return cls(Warehouse.of(settings), settings.snapshots_dir if published else None, settings.s3)

    @contextlib.contextmanager
    def open(self, name: str, expectations: Collection[Expectation] = ()) -> Iterator[Dataset]:
        """A data set, and beside it those that the expectations refer to. A writer of the warehouse waits meanwhile.

        Raises:
            DatasetUnreadable: see there.
            LockTimeout: a writer held the warehouse for too long.
        """
        with self.connected({name, *referred_to(expectations)}) as connected:
            relation = connected.relation(name)
            with connected.dataset(name, relation, {}) as dataset:
                yield dataset

    @contextlib.contextmanager
    def connected(self, names: Collection[str]) -> Iterator["Connected"]:
        """A connection on which all these data sets can be read.

        Raises: as `open`.
        """
        tables = {name for name in names if not is_file_name(name)}
        try:
            published = read_pointer(self._snapshots) if tables and self._snapshots is not None else None
        except SnapshotUnreadable as error:
            raise DatasetUnreadable(str(error)) from None
        waiting = {name for name in tables if not _is_published(published, name)}
        with contextlib.ExitStack() as stack:
            if waiting:
                try:
                    connection = stack.enter_context(self._warehouse.attached())
                except WarehouseMissing as error:
                    raise DatasetUnreadable(f"{min(waiting)}: {error}") from None
            else:
                connection = stack.enter_context(contextlib.closing(duckdb.connect()))
                connection.execute(f"SET TimeZone = 'UTC'; SET memory_limit = '{MEMORY_LIMIT}'")
            if published is not None and self._snapshots is not None:
                for table in (_parts(name)[1] for name in tables - waiting):
                    file = text_literal(str(self._snapshots / published.tables[table].file))
                    connection.execute(f"ATTACH {file} AS {quoted('published ' + table)} (READ_ONLY)")
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quality-")))
            yield Connected(connection, self._storage, waiting, folder)


class Connected:
    """A connection, and the relation of each data set on it."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        storage: ObjectStorageSettings,
        in_warehouse: Collection[str],
        folder: Path,
    ) -> None:
        self.connection = connection
        self._folder = folder
        self._storage = storage
        self._in_warehouse = in_warehouse
        self._relations: dict[str, str] = {}

    def relation(self, name: str) -> str:
        """What stands after FROM.

        Raises:
            DatasetUnreadable: see there.
        """
        if name not in self._relations:
            self._relations[name] = self._made(name)
        return self._relations[name]

    @contextlib.contextmanager
    def dataset(self, name: str, relation: str, parameters: Mapping[str, Any]) -> Iterator[Dataset]:
        """The data set of a relation on this connection, which may be a part of the one that is named."""
        with contextlib.closing(CustomSql(self.connection, relation, dict(parameters))) as custom_sql:
            yield Dataset(name, self.connection, relation, self._reference, custom_sql, parameters)

    def _made(self, name: str) -> str:
        if name.startswith(S3):
            folder = self._folder / str(len(self._relations))
            folder.mkdir()
            return s3_relation(self.connection, name, self._storage, folder)
        if is_file_name(name):
            return local_relation(self.connection, name)
        schema, table = _parts(name)
        database = "warehouse" if name in self._in_warehouse else f"published {table}"
        relation = ".".join(map(quoted, (database, schema, table)))
        try:
            self.connection.execute(f"DESCRIBE SELECT * FROM {relation}")  # noqa: S608 - quoted names
        except duckdb.CatalogException:
            raise DatasetUnreadable(f"{name}: the warehouse has no such table") from None
        return relation

    def _reference(self, name: str) -> Reference:
        try:
            relation = self.relation(name)
        except DatasetUnreadable as error:
            raise CannotJudge(str(error)) from None
        described = self.connection.execute(f"DESCRIBE SELECT * FROM {relation}")  # noqa: S608 - quoted names
        return Reference(relation, {str(row[0]): str(row[1]) for row in described.fetchall()})


def referred_to(expectations: Collection[Expectation]) -> set[str]:
    """The other data sets that expectations name."""
    names = {one.to for one in expectations if isinstance(one, ForeignKey)}
    return names | {one.reference for one in expectations if isinstance(one, Drift)}


def _parts(name: str) -> tuple[str, str]:
    found = _TABLE.fullmatch(name)
    if found is None:
        raise DatasetUnreadable(
            f"{name}: name a file (data/users.parquet, data/*.csv), an address (s3://bucket/users.parquet) or a table "
            "(marts.fct_orders)"
        )
    return found[1], found[2]


def _is_published(snapshot: Snapshot | None, name: str) -> bool:
    schema, table = _parts(name)
    return snapshot is not None and schema == _PUBLISHED_SCHEMA and table in snapshot.tables
