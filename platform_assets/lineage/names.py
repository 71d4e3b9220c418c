"""Finds what a person means by `events.payload.sales_value`, `marts/fct_orders` or `fct_orders.units`."""

from collections.abc import Sequence

from platform_assets.lineage.graph import LineageGraph, Place

_SHOWN = 5


class UnknownName(LookupError):
    """No asset or column has this name. `near` are names that look like it."""

    def __init__(self, message: str, near: Sequence[str]) -> None:
        hint = f" Near are: {', '.join(near)}." if near else ""
        super().__init__(f"{message}{hint}")
        self.near = tuple(near)


def resolve(graph: LineageGraph, text: str) -> Place:
    """The asset or column with this name. A slash and a dot are the same; the longest asset that fits counts.

    Raises:
        UnknownName: nothing has this name, or several assets share it.
    """
    known = _names(graph)
    parts = text.strip().replace("/", ".").split(".")
    for length in range(len(parts), 0, -1):
        assets = known.get(".".join(parts[:length]), [])
        if len(assets) > 1:
            raise UnknownName(f"{text} may be several assets; say which.", assets)
        if assets:
            return with_column(graph, assets[0], ".".join(parts[length:]) or None)
    raise UnknownName(f"There is no asset {text}.", _near(".".join(parts), known))


def with_column(graph: LineageGraph, asset: str, column: str | None) -> Place:
    """A column of a known asset.

    Raises:
        UnknownName: the asset has no such column.
    """
    place = Place(asset, column)
    if not graph.has(place):
        columns = [one.name for one in graph.assets[asset].columns]
        raise UnknownName(f"{asset} has no column {column}.", _near(column or "", columns) or columns[:_SHOWN])
    return place


def _names(graph: LineageGraph) -> dict[str, list[str]]:
    """Assets by every name that they go by. A full name is nobody's alias."""
    names: dict[str, list[str]] = {}
    for asset in graph.assets.values():
        for alias in asset.aliases:
            names.setdefault(alias.replace("/", "."), []).append(asset.name)
    for name in graph.assets:
        names[name.replace("/", ".")] = [name]
    return names


def _near(name: str, known: Sequence[str] | dict[str, list[str]]) -> list[str]:
    import difflib

    return difflib.get_close_matches(name, known, n=_SHOWN, cutoff=0.5)
