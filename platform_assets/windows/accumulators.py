"""The aggregates of many windows at once: one slot per open window, one array per aggregate.

Values are added in the order of the log, so a sum is the same to the last bit however the log is cut into batches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from platform_assets.contracts.windows import Aggregate, AggregateFunction
from platform_assets.windows.columns import Floats, Ints, numbers
from platform_assets.windows.sketches import Sketch, new_sketch, sketch_from_bytes

_SKETCHED = frozenset({AggregateFunction.APPROX_DISTINCT, AggregateFunction.QUANTILE})
_FIRST_SLOTS = 256


@dataclass
class _NumericField:
    """What is kept of one field's numbers: how many, and those of sum, min and max that some aggregate needs."""

    functions: frozenset[AggregateFunction]
    slots: int

    def __post_init__(self) -> None:
        self.counts: Ints = np.zeros(self.slots, dtype=np.int64)
        self.sums: Floats = np.zeros(self.slots)
        self.minima: Floats = np.full(self.slots, np.inf)
        self.maxima: Floats = np.full(self.slots, -np.inf)

    @property
    def needs_sum(self) -> bool:
        return bool(self.functions & {AggregateFunction.SUM, AggregateFunction.MEAN})

    def columns(self) -> dict[str, Any]:
        found: dict[str, Any] = {"counts": self.counts}
        if self.needs_sum:
            found["sums"] = self.sums
        if AggregateFunction.MIN in self.functions:
            found["minima"] = self.minima
        if AggregateFunction.MAX in self.functions:
            found["maxima"] = self.maxima
        return found


_EMPTY = {"counts": 0, "sums": 0.0, "minima": np.inf, "maxima": -np.inf}


class Accumulators:
    """State of the aggregates of one definition, by slot. A slot is claimed, added to, read and freed."""

    def __init__(self, aggregates: Sequence[Aggregate], slots: int = _FIRST_SLOTS) -> None:
        """`slots` is how many there are at first; they double as needed."""
        self._aggregates = tuple(aggregates)
        self.events = np.zeros(slots, dtype=np.int64)
        functions: dict[str, set[AggregateFunction]] = {}
        for aggregate in aggregates:
            if aggregate.function not in _SKETCHED:
                functions.setdefault(aggregate.field, set()).add(aggregate.function)
        self._numeric = {name: _NumericField(frozenset(wanted), slots) for name, wanted in functions.items()}
        self._sketched = {aggregate.name: aggregate for aggregate in aggregates if aggregate.function in _SKETCHED}
        self._sketches: dict[str, dict[int, Sketch]] = {name: {} for name in self._sketched}
        self._free: list[int] = list(range(slots - 1, -1, -1))

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the aggregates read."""
        return tuple(dict.fromkeys(aggregate.field for aggregate in self._aggregates))

    @property
    def capacity(self) -> int:
        """Slots there are."""
        return len(self.events)

    def claim(self) -> int:
        """A slot in which nothing has been counted."""
        if not self._free:
            self._grow()
        return self._free.pop()

    def free(self, slots: Ints) -> None:
        """Empty slots for others to claim."""
        self.events[slots] = 0
        for kept in self._numeric.values():
            for name, column in kept.columns().items():
                column[slots] = _EMPTY[name]
        released = slots.tolist()
        for sketches in self._sketches.values():
            for slot in released:
                sketches.pop(slot, None)
        self._free.extend(released)

    def add(self, slots: Ints, values: Mapping[str, Sequence[Any]], chosen: Ints | None = None) -> None:
        """Count one event in each slot, in order; `values` has the fields' values, of which those at `chosen` count."""
        np.add.at(self.events, slots, 1)
        for name, kept in self._numeric.items():
            column = numbers(values[name])
            column = column if chosen is None else column[chosen]
            self._add_numbers(kept, slots, column)
        for name, aggregate in self._sketched.items():
            given = values[aggregate.field]
            picked = given if chosen is None else [given[index] for index in chosen.tolist()]
            self._add_to_sketches(name, aggregate, slots, picked)

    @staticmethod
    def _add_numbers(kept: _NumericField, slots: Ints, column: Floats) -> None:
        absent = np.isnan(column)
        if absent.any():
            slots, column = slots[~absent], column[~absent]
        np.add.at(kept.counts, slots, 1)
        if kept.needs_sum:
            np.add.at(kept.sums, slots, column)
        if AggregateFunction.MIN in kept.functions:
            np.minimum.at(kept.minima, slots, column)
        if AggregateFunction.MAX in kept.functions:
            np.maximum.at(kept.maxima, slots, column)

    def _add_to_sketches(self, name: str, aggregate: Aggregate, slots: Ints, values: Sequence[Any]) -> None:
        numeric = aggregate.function is AggregateFunction.QUANTILE
        usable = {int, float} if numeric else {int, float, str, bool}
        grouped: dict[int, list[Any]] = {}
        for slot, value in zip(slots.tolist(), values, strict=True):
            if type(value) in usable:
                grouped.setdefault(slot, []).append(value)
        sketches = self._sketches[name]
        for slot, group in grouped.items():
            sketch = sketches.get(slot)
            if sketch is None:
                sketch = sketches[slot] = new_sketch(aggregate)
            sketch.update(group)

    def state(self, slots: Ints) -> dict[str, Any]:
        """A copy of what the slots hold, by column; `merge_state` and `restore` take it. Sketches are bytes or None."""
        columns: dict[str, Any] = {"events": self.events[slots]}
        for field_name, kept in self._numeric.items():
            for name, column in kept.columns().items():
                columns[f"{name}:{field_name}"] = column[slots]
        for name, sketches in self._sketches.items():
            columns[f"sketch:{name}"] = [
                sketches[slot].to_bytes() if slot in sketches else None for slot in slots.tolist()
            ]
        return columns

    @property
    def part_names(self) -> tuple[str, ...]:
        """The names of the columns of `parts`."""
        return tuple(name for name in self.state(np.empty(0, dtype=np.int64)) if name != "events")

    def parts(self, slots: Ints) -> list[list[Any]]:
        """The columns of `state` but for the number of events, as lists."""
        columns = self.state(slots)
        del columns["events"]
        return [column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values()]

    def merge_state(self, target: int, state: Mapping[str, Any], row: int) -> None:
        """Add one row of a `state` to a slot."""
        self.events[target] += state["events"][row]
        for field_name, kept in self._numeric.items():
            for name, column in kept.columns().items():
                value = state[f"{name}:{field_name}"][row]
                if name == "minima":
                    column[target] = min(column[target], value)
                elif name == "maxima":
                    column[target] = max(column[target], value)
                else:
                    column[target] += value
        for name, aggregate in self._sketched.items():
            data = state[f"sketch:{name}"][row]
            if data is not None:
                other = sketch_from_bytes(aggregate, data)
                mine = self._sketches[name].get(target)
                if mine is None:
                    self._sketches[name][target] = other
                else:
                    mine.merge(other)

    def results(self, slots: Ints) -> list[list[Any]]:
        """The value of each aggregate for each slot, a column per aggregate; null where no event had the field."""
        return [self._column(aggregate, slots) for aggregate in self._aggregates]

    def _column(self, aggregate: Aggregate, slots: Ints) -> list[Any]:
        if aggregate.function in _SKETCHED:
            sketches = self._sketches[aggregate.name]
            empty = 0 if aggregate.function is AggregateFunction.APPROX_DISTINCT else None
            return [sketches[slot].result() if slot in sketches else empty for slot in slots.tolist()]
        kept = self._numeric[aggregate.field]
        counts = kept.counts[slots]
        if aggregate.function is AggregateFunction.MEAN:
            column = kept.sums[slots] / np.maximum(counts, 1)
        else:
            column = {
                AggregateFunction.SUM: kept.sums,
                AggregateFunction.MIN: kept.minima,
                AggregateFunction.MAX: kept.maxima,
            }[aggregate.function][slots]
        values: list[Any] = column.tolist()
        if not counts.all():
            values = [value if count else None for value, count in zip(values, counts.tolist(), strict=True)]
        return values

    def _grow(self) -> None:
        held = self.capacity
        self._free.extend(range(2 * held - 1, held - 1, -1))
        self.events = np.concatenate([self.events, np.zeros(held, dtype=np.int64)])
        for kept in self._numeric.values():
            kept.counts = np.concatenate([kept.counts, np.zeros(held, dtype=np.int64)])
            kept.sums = np.concatenate([kept.sums, np.zeros(held)])
            kept.minima = np.concatenate([kept.minima, np.full(held, np.inf)])
            kept.maxima = np.concatenate([kept.maxima, np.full(held, -np.inf)])
