"""Published lineage: immutable files, a new name each time, a pointer to the newest, and what people recorded.

<folder>/lineage-<nanoseconds>.json     a document, see `platform_assets.lineage.document`
<folder>/current.json                   which file serves, with its digest
<folder>/recorded.json                  assets and edges that were recorded by calls; they are in every publication
"""

import datetime as dt
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from platform_assets.lineage.document import LineageDocument, digest, document_of, read_document
from platform_assets.lineage.graph import Asset, Edge, LineageError, LineageGraph
from resources.durable_files import replace, sync

POINTER = "current.json"
RECORDED = "recorded.json"
KEPT = 3
_LOCK_TIMEOUT_S = 60.0


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """What serves. `file` is relative to the folder."""

    file: str
    sha256: str
    published_at: dt.datetime
    assets: int
    edges: int


class RecordedTransformation(msgspec.Struct, frozen=True, kw_only=True):
    """What makes one asset of others: a statement in a dialect that sqlglot knows, or words."""

    name: str
    description: str = ""
    code: str | None = None
    dialect: str = "duckdb"


class Recorded(msgspec.Struct, kw_only=True):
    """What people recorded by calls, beside what code and dbt say."""

    assets: list[Asset] = []
    edges: list[Edge] = []
    transformations: dict[str, RecordedTransformation] = {}

    def statement_of(self, target: str) -> str | None:
        """The code of the transformation that makes an asset, if one was recorded with its edges."""
        names = {f"transformation {name}": one.code for name, one in self.transformations.items()}
        found = (names[edge.found_in] for edge in self.edges if edge.target == target and edge.found_in in names)
        return next(found, None)


class LineageUnreadable(RuntimeError):
    """The pointer is there and cannot be read, or its document is missing or damaged."""


class NoLineage(LookupError):
    """Nothing has been published yet."""


class LineageStore:
    """The lineage of one deployment. Writers of all processes take turns; readers never wait."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def publish(self, graph: LineageGraph, *, problems: tuple[str, ...] = (),
                read: dict[str, str] | None = None) -> tuple[Pointer, bool]:  # fmt: skip
        """Publish a graph with what was recorded; returns what serves now, and whether it is new.

        Raises:
            LineageError: what was recorded does not fit the graph.
        """
        with self._alone("publication"):
            return self._publish(graph, self.recorded(), problems, read or {})

    @contextmanager
    def recording(self) -> Iterator[tuple[LineageGraph, Recorded]]:
        """The graph that serves and what was recorded, to be added to; what was added is published at the end.

        An error inside the block leaves everything as it was.
        """
        with self._alone("recording"):
            document = self.read()[1] if self.pointer() is not None else LineageDocument(assets=(), edges=())
            graph, recorded = document.graph, self.recorded()
            yield graph, recorded
            replace(self.folder / RECORDED, msgspec.json.format(msgspec.json.encode(recorded)))
            self._publish(graph, recorded, document.problems, document.read)

    def pointer(self) -> Pointer | None:
        """What serves now, or None before the first publication.

        Raises:
            LineageUnreadable: it is damaged.
        """
        path = self.folder / POINTER
        try:
            return msgspec.json.decode(path.read_bytes(), type=Pointer)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise LineageUnreadable(f"{path}: {error}; run `analytics lineage build`.") from error

    def recorded(self) -> Recorded:
        """What people recorded.

        Raises:
            LineageUnreadable: the file is damaged.
        """
        path = self.folder / RECORDED
        try:
            return msgspec.json.decode(path.read_bytes(), type=Recorded)
        except FileNotFoundError:
            return Recorded()
        except msgspec.DecodeError as error:
            raise LineageUnreadable(f"{path}: {error}; move it away, or restore it from a backup.") from error

    def read(self) -> tuple[Pointer, LineageDocument]:
        """What serves now.

        Raises:
            NoLineage: nothing has been published yet.
            LineageUnreadable: the pointer or its document is damaged.
        """
        pointer = self.pointer()
        if pointer is None:
            raise NoLineage("No lineage has been published yet; run `analytics lineage build`.")
        path = self.folder / pointer.file
        try:
            content = path.read_bytes()
            if digest(content) != pointer.sha256:
                raise LineageUnreadable(f"{path} is not what was published; run `analytics lineage build`.")
            return pointer, read_document(content)
        except (OSError, msgspec.DecodeError) as error:
            raise LineageUnreadable(f"{path}: {error}; run `analytics lineage build`.") from error

    def with_recorded(self, graph: LineageGraph) -> LineageGraph:
        """A graph and what people recorded.

        Raises:
            LineageError: what was recorded does not fit the graph.
            LineageUnreadable: it is damaged.
        """
        return _add(self.recorded(), graph)

    def _publish(
        self, graph: LineageGraph, recorded: Recorded, problems: tuple[str, ...], read: dict[str, str]
    ) -> tuple[Pointer, bool]:
        _add(recorded, graph)
        content = document_of(graph, problems, read)
        current = self.pointer()
        if current is not None and current.sha256 == digest(content) and (self.folder / current.file).exists():
            return current, False
        name = f"lineage-{time.time_ns()}.json"
        replace(self.folder / name, content)
        pointer = Pointer(
            file=name, sha256=digest(content), published_at=dt.datetime.now(dt.UTC), assets=len(graph.assets),
            edges=len(graph.edges),
        )  # fmt: skip
        replace(self.folder / POINTER, msgspec.json.format(msgspec.json.encode(pointer)))
        self._prune(name)
        return pointer, True

    def _prune(self, serving: str) -> None:
        """Readers may be about to open the one before."""
        older = sorted(path for path in self.folder.glob("lineage-*.json") if path.name < serving)
        for path in older[: -(KEPT - 1)]:
            path.unlink()
        sync(self.folder)

    @contextmanager
    def _alone(self, purpose: str) -> Iterator[None]:
        # The package of the lock imports DuckDB, which the API loads for metrics only.
        from resources.warehouse.lock import writer_lock

        self.folder.mkdir(parents=True, exist_ok=True)
        with writer_lock(self.folder / "lock", timeout_s=_LOCK_TIMEOUT_S, purpose=f"lineage: {purpose}"):
            yield


def _add(recorded: Recorded, graph: LineageGraph) -> LineageGraph:
    for asset in recorded.assets:
        graph.add_asset(asset)
    for edge in recorded.edges:
        graph.add_edge(edge)
    return graph


class LineageReader:
    """Follows the pointer and keeps the newest graph. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self._store = LineageStore(folder)
        self._lock = threading.Lock()
        self._held: tuple[Pointer, LineageGraph] | None = None

    def current(self) -> tuple[Pointer, LineageGraph]:
        """What serves now.

        Raises:
            NoLineage: nothing has been published yet.
            LineageUnreadable: the pointer or its document is damaged.
        """
        with self._lock:
            newest = self._store.pointer()
            if self._held is None or newest is None or self._held[0].file != newest.file:
                pointer, document = self._store.read()
                try:
                    self._held = (pointer, document.graph)
                except LineageError as error:
                    raise LineageUnreadable(f"{pointer.file}: {error}; run `analytics lineage build`.") from error
            return self._held
