"""The published form of a graph: plain data with a format number, the same bytes for the same graph."""

import hashlib

import msgspec

from platform_assets.lineage.graph import Asset, Edge, LineageGraph

FORMAT = 1


class LineageDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A graph and what was read for it. `problems` says where it is less precise than it should be."""

    format: int = FORMAT
    assets: tuple[Asset, ...]
    edges: tuple[Edge, ...]
    problems: tuple[str, ...] = ()
    read: dict[str, str] = {}
    """What it was built from, such as the fingerprint of the dbt project."""

    @property
    def graph(self) -> LineageGraph:
        """The graph, ready to be asked.

        Raises:
            LineageError: an edge has no ends or closes a circle.
        """
        return LineageGraph(self.assets, self.edges)


def document_of(graph: LineageGraph, problems: tuple[str, ...] = (), read: dict[str, str] | None = None) -> bytes:
    """The document of a graph as JSON, in an order that does not depend on how it was built."""
    edges = sorted(graph.edges, key=lambda edge: (edge.source, edge.source_column or "", edge.target,
                                                  edge.target_column or ""))  # fmt: skip
    document = LineageDocument(
        assets=tuple(sorted(graph.assets.values(), key=lambda asset: asset.name)),
        edges=tuple(edges),
        problems=problems,
        read=dict(sorted((read or {}).items())),
    )
    return msgspec.json.encode(document, order="deterministic")


def read_document(content: bytes) -> LineageDocument:
    """The inverse of `document_of`.

    Raises:
        msgspec.DecodeError: it is no document of this format.
    """
    document = msgspec.json.decode(content, type=LineageDocument)
    if document.format != FORMAT:
        raise msgspec.ValidationError(f"It has format {document.format}; this release reads {FORMAT}")
    return document


def digest(content: bytes) -> str:
    """The SHA-256 of a document, in hex."""
    return hashlib.sha256(content).hexdigest()
