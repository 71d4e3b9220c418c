"""What a change of an asset or column would reach, and by which way."""

from collections.abc import Sequence

import msgspec

from platform_assets.lineage.graph import AssetKind, Influence, LineageGraph, Place
from platform_assets.lineage.walk import Direction, Reached, walk, way_to

ORDER: tuple[AssetKind, ...] = (
    AssetKind.TOPIC,
    AssetKind.WINDOW,
    AssetKind.FILES,
    AssetKind.TABLE,
    AssetKind.DATASET,
    AssetKind.FEATURES,
    AssetKind.MODEL,
    AssetKind.MODEL_VERSION,
    AssetKind.SERVED,
    AssetKind.METRIC,
    AssetKind.ROUTE,
    AssetKind.SOURCE,
)
"""The kinds in the order in which a change reaches them."""


class Step(msgspec.Struct, frozen=True):
    """One step of a way: where it leads, how it bears on it, and where that stands."""

    place: str
    influence: Influence
    found_in: str


class Affected(msgspec.Struct, frozen=True, kw_only=True):
    """One place that is reached. A column that is null is the asset as a whole, `*` is which rows it has."""

    asset: str
    kind: AssetKind
    column: str | None
    influence: Influence
    hops: int
    way: tuple[Step, ...]


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """All that a place bears on, in the order of the kinds, then by name."""

    of: str
    affected: tuple[Affected, ...]

    def columns(self, *, influence: Influence | None = None) -> dict[str, list[str]]:
        """The columns by asset, `*` for its rows and "" for the asset as a whole."""
        found: dict[str, list[str]] = {}
        for one in self.affected:
            if influence is None or one.influence is influence:
                found.setdefault(one.asset, []).append(one.column or "")
        return found


def impact_of(graph: LineageGraph, place: Place, *, conditions: bool = True) -> Impact:
    """Everything downstream of a place outside its own asset."""
    reached = walk(graph, place, Direction.DOWNSTREAM, conditions=conditions)
    found = [
        Affected(
            asset=one.place.asset,
            kind=graph.assets[one.place.asset].kind,
            column=one.place.column,
            influence=one.influence,
            hops=one.hops,
            way=_steps(way_to(reached, one.place)),
        )
        for one in reached.values()
        if one.place.asset != place.asset
    ]
    found.sort(key=lambda one: (ORDER.index(one.kind), one.asset, one.influence is not Influence.DIRECT))
    return Impact(of=str(place), affected=tuple(found))


def _steps(way: Sequence[Reached]) -> tuple[Step, ...]:
    start, *rest = way
    return (Step(str(start.place), Influence.DIRECT, "start"), *(_step(one) for one in rest))


def _step(one: Reached) -> Step:
    if one.edge is None:
        return Step(str(one.place), one.influence, "the asset's own rows")
    return Step(str(one.place), one.edge.influence, one.edge.found_in)
