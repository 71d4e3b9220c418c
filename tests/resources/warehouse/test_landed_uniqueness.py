"""A key in two rows is found: among the newest rows at once, in a slice of all rows, anywhere by the whole proof."""

from typing import Any

import pytest

from resources.landing_zone import LandingZone
from resources.warehouse import Warehouse, landed_uniqueness
from resources.warehouse.landed_tables import RAW_EVENTS
from resources.warehouse.landed_uniqueness import Uniqueness, prove_unique, prove_unique_in_part
from resources.warehouse.landing_loads import load_landed

OLD, NEW = 60, 40


@pytest.fixture
def loaded(warehouse: Warehouse, landing: LandingZone, land: Any, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """A hundred rows of two loads, proven in ten slices."""
    monkeypatch.setattr(landed_uniqueness, "SLICE_ROWS", 10)
    for first, count in ((0, OLD), (OLD, NEW)):
        land([f"event-{first + number}" for number in range(count)], first=first)
        with warehouse.write("load") as connection:
            load_landed(connection, landing, RAW_EVENTS)
    return warehouse


def proofs(warehouse: Warehouse, statement: str | None = None) -> tuple[Uniqueness, Uniqueness]:
    """Both proofs after a statement."""
    with warehouse.write("break and prove") as connection:
        if statement is not None:
            connection.execute(statement)
        return prove_unique_in_part(connection, RAW_EVENTS), prove_unique(connection, RAW_EVENTS)


def test_unique_keys_are_proven_in_part_after_a_load_and_wholly_on_demand(loaded: Warehouse) -> None:
    in_part, whole = proofs(loaded)
    assert in_part.holds
    assert 0 < in_part.proven_rows < OLD
    assert whole == Uniqueness(row_count=OLD + NEW, proven_rows=OLD + NEW, surplus_rows=0)


def test_repeated_key_among_the_newest_rows_is_found_at_once(loaded: Warehouse) -> None:
    newest = "WHERE loaded_at = (SELECT max(loaded_at) FROM raw.events)"
    in_part, whole = proofs(loaded, f"INSERT INTO raw.events FROM raw.events {newest} LIMIT 3")
    assert (in_part.surplus_rows, whole.surplus_rows) == (3, 3)


def test_old_keys_that_repeat_are_found_by_the_slices_of_all_rows(loaded: Warehouse) -> None:
    """Every slice has its turn: the number of rows that each of them finds adds up."""
    in_part, whole = proofs(loaded, f"INSERT INTO raw.events FROM raw.events ORDER BY loaded_at LIMIT {OLD}")
    assert whole.surplus_rows == OLD
    assert 0 < in_part.surplus_rows < OLD


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE raw.events SET key_hash = key_hash + 1 WHERE event_id = 'event-7'",
        "UPDATE raw.events SET key_hash = NULL WHERE event_id = 'event-7'",
        "UPDATE raw.events SET event_id = NULL WHERE event_id = 'event-7'",
    ],
)
def test_wrong_or_missing_hash_or_key_is_found_by_the_whole_proof(loaded: Warehouse, statement: str) -> None:
    """A load could not find such a key again."""
    _, whole = proofs(loaded, statement)
    assert not whole.holds
