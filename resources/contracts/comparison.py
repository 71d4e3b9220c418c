"""A comparison of the contract as this code says it with that of a Git revision, and what the breaks in it reach."""

import functools
from collections.abc import Callable, Sequence

import msgspec

from platform_assets.contracts.changes import Change, changes_between
from platform_assets.contracts.document import contract_document
from platform_assets.lineage.document import read_document
from platform_assets.lineage.graph import LineageError, LineageGraph
from resources.contracts.accepted_breaks import is_accepted, read_accepted
from resources.contracts.reach import Reach, reach_of
from resources.contracts.revisions import CannotCompare, document_at, lineage_at
from resources.settings import Settings


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One change, with the decision on it and what it reaches; None where that was not asked or is unknown."""

    change: Change
    is_breaking: bool
    is_accepted: bool
    reach: Reach | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All changes since a commit."""

    base: str
    base_is: str
    changes: Sequence[Compared]

    @property
    def breaking(self) -> list[Compared]:
        """The breaks that nobody has declared or accepted."""
        return [one for one in self.changes if one.is_breaking and not one.is_accepted]


def compare(base: str, base_is: str) -> Comparison:
    """Compare with a commit, by the decisions in this repository.

    Raises:
        CannotCompare, NothingPromised, DecisionsUnreadable: see there.
    """
    accepted = read_accepted()
    changes = [
        Compared(
            change=change,
            is_breaking=change.is_breaking,
            is_accepted=change.is_breaking and is_accepted(change, accepted),
        )
        for change in changes_between(document_at(base), contract_document())
    ]
    return Comparison(base=base, base_is=base_is, changes=changes)


def with_reach(comparison: Comparison, settings: Settings, say: Callable[[str], None]) -> Comparison:
    """The same, with what each change reaches that breaks somebody, declared or not.

    What is gone is asked of the graph of before: whoever edited the model that read it along left no trace of it now.

    Raises:
        CompilationFailed: dbt refuses the project as it is now.
    """
    now = functools.cache(lambda: _graph_now(settings, say))
    then = functools.cache(lambda: _graph_then(comparison.base, settings, say))

    def reached(one: Compared) -> Compared:
        if not one.change.breaks:
            return one
        graphs = (then, now) if one.change.is_gone else (now, then)
        return msgspec.structs.replace(one, reach=reach_of(one.change, graphs))

    return msgspec.structs.replace(comparison, changes=[reached(one) for one in comparison.changes])


def _graph_now(settings: Settings, say: Callable[[str], None]) -> LineageGraph:
    from resources.lineage.publication import build_lineage

    builder, _ = build_lineage(settings, ask_registry=False, say=say)
    return builder.graph


def _graph_then(base: str, settings: Settings, say: Callable[[str], None]) -> LineageGraph:
    say(f"What is gone is looked up in the lineage of {base[:12]} …")
    try:
        return read_document(lineage_at(base, settings.root)).graph
    except (CannotCompare, LineageError, msgspec.DecodeError) as error:
        say(f"That lineage cannot be told, so what follows may lack something: {error}")
        return LineageGraph()
