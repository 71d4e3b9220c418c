"""The graph of assets as text for Mermaid or Graphviz."""

from collections.abc import Iterable

from platform_assets.lineage.graph import AssetKind, LineageGraph

_SHAPES = {
    AssetKind.ROUTE: ("([", "])", "oval"),
    AssetKind.TOPIC: ("[/", "/]", "parallelogram"),
    AssetKind.WINDOW: ("[/", "/]", "parallelogram"),
    AssetKind.MODEL: ("{{", "}}", "hexagon"),
    AssetKind.MODEL_VERSION: ("{{", "}}", "hexagon"),
    AssetKind.METRIC: ("((", "))", "circle"),
}
_BOX = ("[", "]", "box")


def mermaid(graph: LineageGraph, assets: Iterable[str]) -> str:
    """A Mermaid flow chart of these assets and what leads from one to another."""
    chosen = sorted(assets)
    ids = {name: f"a{number}" for number, name in enumerate(chosen)}
    lines = ["flowchart LR"]
    for name in chosen:
        opening, closing, _ = _SHAPES.get(graph.assets[name].kind, _BOX)
        lines.append(f"  {ids[name]}{opening}{_quoted(name)}{closing}")
    lines += [f"  {ids[source]} --> {ids[target]}" for source, target in _pairs(graph, chosen)]
    return "\n".join(lines) + "\n"


def dot(graph: LineageGraph, assets: Iterable[str]) -> str:
    """The same as a Graphviz digraph."""
    chosen = sorted(assets)
    lines = ["digraph lineage {", "  rankdir=LR;"]
    for name in chosen:
        shape = _SHAPES.get(graph.assets[name].kind, _BOX)[2]
        lines.append(f"  {_quoted(name)} [shape={shape}];")
    lines += [f"  {_quoted(source)} -> {_quoted(target)};" for source, target in _pairs(graph, chosen)]
    return "\n".join([*lines, "}"]) + "\n"


def _pairs(graph: LineageGraph, chosen: list[str]) -> list[tuple[str, str]]:
    known = set(chosen)
    return [(source, target) for source in chosen for target in sorted(graph.assets_after(source) & known)]


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', "'")
    return f'"{escaped}"'
