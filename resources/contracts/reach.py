"""What the changes of the contract reach, asked of the lineage graph."""

import contextlib
from collections.abc import Callable, Iterable

from platform_assets.contracts.changes import Change
from platform_assets.lineage.graph import AssetKind, LineageGraph, Place
from platform_assets.lineage.impact import impact_of
from platform_assets.lineage.names import UnknownName, resolve

Reach = dict[str, list[str]]
"""By kind the names of what is reached, in the order in which a change reaches them; columns as `asset.column`."""

# Of these it matters which column is reached; of all others that they are.
_BY_COLUMN = frozenset({AssetKind.WINDOW, AssetKind.FEATURES})


def reach_of(change: Change, graphs: Iterable[Callable[[], LineageGraph]]) -> Reach | None:
    """The changed asset and what is made of the changed place, by the first graph that knows it; None where none does.

    Graphs are built only when they are asked: a place that is gone is known to the graph of before alone.
    """
    if change.place is None:
        return None
    for graph in graphs:
        known = graph()
        place = _place(known, change.place)
        if place is None:
            continue
        impact = impact_of(known, place)
        reached: Reach = {known.assets[place.asset].kind.value: [place.asset]}
        for one in impact.affected:
            by_column = one.kind in _BY_COLUMN and one.column not in {None, "*"}
            name = f"{one.asset}.{one.column}" if by_column else one.asset
            names = reached.setdefault(one.kind.value, [])
            if name not in names:
                names.append(name)
        return reached
    return None


def _place(graph: LineageGraph, name: str) -> Place | None:
    """The place, or the asset around it: not every field of a record is a column to lineage."""
    for known_as in (name, name.rpartition(".")[0]):
        with contextlib.suppress(UnknownName):
            return resolve(graph, known_as)
    return None
