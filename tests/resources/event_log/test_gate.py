"""The gate in front of ingestion."""

from pathlib import Path

from resources.event_log.gate import IngestionGate


def test_gate_is_open_where_nothing_was_ever_closed(tmp_path: Path) -> None:
    gate = IngestionGate(tmp_path / "state")
    assert (gate.is_open(), gate.reason(), gate.generation()) == (True, None, "")


def test_gate_closes_for_every_door_on_the_folder_and_says_why(tmp_path: Path) -> None:
    IngestionGate(tmp_path / "state").close("draining")
    door = IngestionGate(tmp_path / "state")
    assert (door.is_open(), door.reason()) == (False, "draining")


def test_gate_opens_under_a_new_generation_each_time(tmp_path: Path) -> None:
    gate, seen = IngestionGate(tmp_path), set()
    for _ in range(3):
        gate.close("recycling")
        gate.open()
        assert gate.is_open()
        seen.add(gate.generation())
    assert len(seen) == 3


def test_opening_an_open_gate_changes_nothing(tmp_path: Path) -> None:
    gate = IngestionGate(tmp_path)
    gate.open()
    assert gate.generation() == ""
    assert list(tmp_path.iterdir()) == []
