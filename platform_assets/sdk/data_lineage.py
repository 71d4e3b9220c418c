"""Tell the platform's lineage of data that it does not make itself, and ask it."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from platform_assets.lineage.graph import Asset, AssetKind, Column, Edge
from platform_assets.lineage.names import resolve, with_column
from platform_assets.lineage.walk import Direction, walk
from resources.lineage.recording import record_asset, record_edge, record_transformation
from resources.lineage.store import LineageStore, RecordedTransformation
from resources.settings import load_settings


@dataclass(frozen=True)
class DataAsset:
    """A data set, table, model or whatever else data is kept in or comes from. `schema` is columns and their types."""

    name: str
    asset_type: str
    location: str | None = None
    schema: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DataTransformation:
    """What makes one asset of others."""

    name: str
    description: str
    code: str | None = None
    dialect: str = "duckdb"


class DataLineageTracker:
    """Assets, transformations and edges in the platform's published lineage; by default that of the data folder.

    To create what is there already changes nothing, so a script may run again. Files are written, so each call works
    in a thread.
    """

    def __init__(self, store: LineageStore | None = None) -> None:
        self._store = store or LineageStore(load_settings().lineage_dir)

    async def create_asset(
        self,
        name: str,
        asset_type: str = "dataset",
        location: str | None = None,
        schema: Mapping[str, str] | None = None,
        description: str = "",
    ) -> DataAsset:
        """The asset of this name; made where it is missing, and with new columns where it is known.

        Raises:
            ValueError: there is no such type of asset.
            LineageError: the name belongs to an asset of another type.
        """
        kinds = {kind.value: kind for kind in AssetKind}
        kind = kinds.get(asset_type)
        if kind is None:
            raise ValueError(f"There is no asset type {asset_type!r}; choose one of {', '.join(kinds)}.")
        asset = Asset(
            name=name,
            kind=kind,
            description=description,
            columns=tuple(Column(column, str(kind)) for column, kind in (schema or {}).items()),
            facts={"location": location} if location else {},
        )
        known = await asyncio.to_thread(record_asset, self._store, asset)
        return DataAsset(
            name, asset_type, known.facts.get("location"), {column.name: column.type for column in known.columns}
        )

    async def create_transformation(
        self, name: str, description: str = "", code: str | None = None, dialect: str = "duckdb"
    ) -> DataTransformation:
        """The transformation of this name. SQL is read for column lineage when an edge names the transformation."""
        await asyncio.to_thread(
            record_transformation,
            self._store,
            RecordedTransformation(name=name, description=description, code=code, dialect=dialect),
        )
        return DataTransformation(name, description, code, dialect)

    async def create_lineage_edge(
        self, source_asset: DataAsset, target_asset: DataAsset, transformation: DataTransformation | None = None
    ) -> list[Edge]:
        """The target is made of the source: by column where the transformation is SQL over the source's name.

        Raises:
            LineageError: one of the assets was not created.
            CycleRefused: the source is made of the target already, on the path that the message names.
        """
        recorded = None
        if transformation is not None:
            recorded = RecordedTransformation(
                name=transformation.name,
                description=transformation.description,
                code=transformation.code,
                dialect=transformation.dialect,
            )
        return await asyncio.to_thread(record_edge, self._store, source_asset.name, target_asset.name, recorded)

    async def get_upstream(self, name: str, column: str | None = None) -> list[str]:
        """What an asset or column is made of, nearest first; platform assets may be asked for too.

        Raises:
            UnknownName: there is no such asset or column.
            NoLineage: nothing has been recorded or published yet.
        """
        return await asyncio.to_thread(self._walk, name, column, Direction.UPSTREAM)

    async def get_downstream(self, name: str, column: str | None = None) -> list[str]:
        """What is made of an asset or column, nearest first. Raises as `get_upstream`."""
        return await asyncio.to_thread(self._walk, name, column, Direction.DOWNSTREAM)

    async def export_openlineage(self) -> list[dict[str, Any]]:
        """What was recorded, as OpenLineage job events: one for each asset that is made of others.

        Raises:
            NoLineage: nothing has been recorded or published yet.
        """
        return await asyncio.to_thread(self._export)

    def _walk(self, name: str, column: str | None, direction: Direction) -> list[str]:
        graph = self._store.read()[1].graph
        place = resolve(graph, name)
        if column is not None:
            place = with_column(graph, place.asset, column)
        reached = walk(graph, place, direction)
        return [str(one.place) for one in sorted(reached.values(), key=lambda one: one.hops) if one.place != place]

    def _export(self) -> list[dict[str, Any]]:
        from platform_assets.lineage.open_lineage import as_json, job_event

        graph, recorded = self._store.read()[1].graph, self._store.recorded()
        now = dt.datetime.now(dt.UTC)
        targets = dict.fromkeys(edge.target for edge in recorded.edges)
        return [as_json(job_event(graph, target, recorded.statement_of(target), now)) for target in targets]
