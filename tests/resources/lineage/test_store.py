"""Published lineage is a file that never changes, a pointer to it, and what people recorded in every publication."""

import threading
from pathlib import Path

import pytest

from platform_assets.lineage.graph import Asset, AssetKind, Column, CycleRefused, Edge, LineageGraph, Place
from resources.lineage.store import KEPT, POINTER, LineageReader, LineageStore, LineageUnreadable, NoLineage


def graph(*names: str) -> LineageGraph:
    return LineageGraph(Asset(name=name, kind=AssetKind.TABLE, columns=(Column("id"),)) for name in names)


def edge(source: str, target: str) -> Edge:
    return Edge(source=source, source_column="id", target=target, target_column="id", found_in="a test")


def test_publication_is_read_back_and_an_equal_one_is_not_published_again(tmp_path: Path) -> None:
    store = LineageStore(tmp_path)
    first, is_new = store.publish(graph("a", "b"), problems=("x",), read={"dbt": "1"})
    assert is_new
    assert (first.assets, first.edges) == (2, 0)
    again, is_new = store.publish(graph("b", "a"), problems=("x",), read={"dbt": "1"})
    assert not is_new
    assert again == first
    pointer, document = store.read()
    assert pointer == first
    assert (document.problems, document.read) == (("x",), {"dbt": "1"})
    assert sorted(document.graph.assets) == ["a", "b"]


def test_last_publications_are_kept_and_older_ones_go(tmp_path: Path) -> None:
    store = LineageStore(tmp_path)
    files = [store.publish(graph(*"abcdef"[: number + 1]))[0].file for number in range(5)]
    assert sorted(path.name for path in tmp_path.glob("lineage-*.json")) == files[-KEPT:]


def test_nothing_published_and_damage_say_what_to_do(tmp_path: Path) -> None:
    store = LineageStore(tmp_path / "none")
    with pytest.raises(NoLineage, match="analytics lineage build"):
        store.read()
    pointer, _ = store.publish(graph("a"))
    (store.folder / pointer.file).write_bytes(b"{}")
    with pytest.raises(LineageUnreadable, match="is not what was published"):
        store.read()
    _, is_new = store.publish(graph("a", "b"))
    assert is_new
    (store.folder / POINTER).write_bytes(b"")
    with pytest.raises(LineageUnreadable, match=r"current\.json"):
        LineageReader(store.folder).current()


def test_reader_follows_the_pointer_and_reads_a_file_once(tmp_path: Path) -> None:
    store = LineageStore(tmp_path)
    store.publish(graph("a"))
    reader = LineageReader(tmp_path)
    first = reader.current()
    assert reader.current() is first
    store.publish(graph("a", "b"))
    assert sorted(reader.current()[1].assets) == ["a", "b"]


def test_what_is_recorded_stands_in_this_and_every_later_publication(tmp_path: Path) -> None:
    store = LineageStore(tmp_path)
    store.publish(graph("a", "b"))
    with store.recording() as (known, recorded):
        for one in (Asset(name="mine", kind=AssetKind.DATASET, columns=(Column("id"),)),):
            known.add_asset(one)
            recorded.assets.append(one)
        known.add_edge(edge("b", "mine"))
        recorded.edges.append(edge("b", "mine"))
    assert store.read()[1].graph.assets_after("b") == {"mine"}
    store.publish(graph("a", "b", "c"))
    assert store.read()[1].graph.assets_after("b") == {"mine"}


def test_recording_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    store = LineageStore(tmp_path)
    store.publish(LineageGraph(graph("a", "b").assets.values(), [edge("a", "b")]))
    before = store.read()

    def record_a_circle() -> None:
        with store.recording() as (known, recorded):
            recorded.assets.append(Asset(name="mine", kind=AssetKind.DATASET))
            known.add_edge(edge("b", "a"))

    with pytest.raises(CycleRefused):
        record_a_circle()
    assert store.read() == before
    assert store.recorded().assets == []


def test_many_record_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    store = LineageStore(tmp_path)
    store.publish(graph("a"))

    def record(number: int) -> None:
        with store.recording() as (known, recorded):
            one = Asset(name=f"mine{number}", kind=AssetKind.DATASET, columns=(Column("id"),))
            known.add_asset(one)
            recorded.assets.append(one)
            recorded.edges.append(edge("a", one.name))

    threads = [threading.Thread(target=record, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.read()[1].graph
    assert found.assets_after("a") == {f"mine{number}" for number in range(8)}
    assert all(found.has(Place(f"mine{number}", "id")) for number in range(8))
