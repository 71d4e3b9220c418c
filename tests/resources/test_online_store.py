"""The online store: whole replacements, readers that are never in the way, and honest absence."""

import datetime as dt
import math
import multiprocessing
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platform_assets.contracts.features import FeatureColumn, FeatureSet
from resources.online_store import FeatureVector, OnlineStore, OnlineStoreError, SqliteOnlineStore


def feature_set(version: int = 1) -> FeatureSet:
    """Two features of a household."""
    columns = tuple(FeatureColumn(name=name, dtype="float", description="", nullable=True) for name in ("a", "b"))
    return FeatureSet(name="tiny", version=version, entity="household", columns=columns, description="")


SET = feature_set()
DAY = dt.date(2018, 1, 1)


@pytest.fixture
def store(tmp_path: Path) -> SqliteOnlineStore:
    """A store whose file does not exist yet, in a folder that does not exist yet."""
    return SqliteOnlineStore(tmp_path / "serving" / "online.sqlite")


def test_store_answers_none_before_anything_was_stored(store: SqliteOnlineStore) -> None:
    """The API starts first; reading must not make the file either."""
    assert store.get_features(SET, "1228") is None
    assert store.describe(SET) is None


def test_store_gives_back_what_was_put(store: SqliteOnlineStore) -> None:
    """A reader that asked too early sees it too; NaN and None are both null."""
    assert store.get_features(SET, "1") is None
    kept: OnlineStore = store
    assert kept.put_features(SET, DAY, [("1", {"a": 0.1, "b": None}), ("2", {"b": 2, "a": math.nan})]) == 2
    assert store.get_features(SET, "1") == FeatureVector(entity_id="1", as_of=DAY, values={"a": 0.1, "b": None})
    assert store.get_features(SET, "2") == FeatureVector(entity_id="2", as_of=DAY, values={"a": None, "b": 2.0})
    assert store.get_features(SET, "3") is None
    described = store.describe(SET)
    assert described is not None
    assert (described.as_of, described.entity_count) == (DAY, 2)
    assert abs(dt.datetime.now(dt.UTC) - described.written_at) < dt.timedelta(minutes=1)


def test_put_replaces_the_version_and_leaves_the_other_one(store: SqliteOnlineStore) -> None:
    """An entity that is gone is gone; a model of the older version still finds its features."""
    store.put_features(SET, DAY, [("1", {"a": 1, "b": 1}), ("2", {"a": 1, "b": 1})])
    store.put_features(feature_set(2), DAY, [("1", {"a": 9, "b": 9})])
    store.put_features(SET, DAY + dt.timedelta(days=1), [("2", {"a": 2, "b": 2})])
    assert store.get_features(SET, "1") is None
    replaced, other = store.get_features(SET, "2"), store.get_features(feature_set(2), "1")
    assert replaced is not None
    assert other is not None
    assert (replaced.as_of, replaced.values["a"]) == (DAY + dt.timedelta(days=1), 2.0)
    assert other.values["a"] == 9.0


def test_store_reads_several_entities_at_once(store: SqliteOnlineStore) -> None:
    """Unknown entities are left out, whatever they are called."""
    assert store.get_many(SET, ["1"]) == {}
    store.put_features(SET, DAY, [("1", {"a": 1, "b": None}), ("it's", {"a": 2, "b": 2})])
    wanted = ["1", "it's", '"', "unknown"]
    assert store.get_many(SET, wanted) == {entity: store.get_features(SET, entity) for entity in ("1", "it's")}
    assert store.get_many(SET, []) == {}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("1", {"a": 1.0})], "1 lack or have beyond the contract: b"),
        ([("1", {"a": 1.0, "b": 1.0, "c": 1.0})], "beyond the contract: c"),
        ([("1", {"a": 1.0, "b": math.inf})], "infinite"),
        ([("1", {"a": 1.0, "b": 1.0}), ("1", {"a": 2.0, "b": 2.0})], "an entity twice"),
    ],
    ids=["missing", "unknown", "infinite", "twice"],
)
def test_bad_rows_are_refused_and_change_nothing(
    store: SqliteOnlineStore, rows: list[tuple[str, dict[str, float]]], message: str
) -> None:
    """The rows from before stay."""
    store.put_features(SET, DAY, [("1", {"a": 5, "b": 5})])
    with pytest.raises(ValueError, match=message):
        store.put_features(SET, DAY, rows)
    kept = store.get_features(SET, "1")
    assert kept is not None
    assert kept.values == {"a": 5.0, "b": 5.0}


def test_interrupted_put_leaves_the_rows_from_before(store: SqliteOnlineStore, tmp_path: Path) -> None:
    """The transaction rolls back: a trigger fails the last statement, as a full disk would."""
    store.put_features(SET, DAY, [("1", {"a": 5, "b": 5})])
    with sqlite3.connect(tmp_path / "serving" / "online.sqlite") as connection:
        connection.execute(
            "CREATE TRIGGER fail BEFORE INSERT ON feature_sets BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    connection.close()
    with pytest.raises(OnlineStoreError, match="disk full"):
        store.put_features(SET, DAY, [("2", {"a": 6, "b": 6})])
    assert store.get_features(SET, "1") is not None
    assert store.get_features(SET, "2") is None


def _keep_writing(path: Path, rounds: int) -> None:
    store = SqliteOnlineStore(path)
    for number in range(1, rounds + 1):
        store.put_features(SET, DAY + dt.timedelta(days=number), _rows(number))


def _rows(number: int) -> list[tuple[str, dict[str, float | None]]]:
    return [(str(entity), {"a": float(number), "b": float(entity)}) for entity in range(500)]


def test_readers_see_whole_versions_while_another_process_writes(store: SqliteOnlineStore, tmp_path: Path) -> None:
    """Four threads read while a process replaces 500 entities 30 times: date and values always belong together."""
    store.put_features(SET, DAY, _rows(0))
    path = tmp_path / "serving" / "online.sqlite"
    writer = multiprocessing.get_context("spawn").Process(target=_keep_writing, args=(path, 30))
    failures: list[object] = []
    seen: set[int] = set()

    def read() -> None:
        while writer.is_alive():
            try:
                vector = store.get_features(SET, "499")
            except OnlineStoreError as error:
                failures.append(error)
                continue
            if vector is None or vector.values != {"a": float((vector.as_of - DAY).days), "b": 499.0}:
                failures.append(vector)
            else:
                seen.add((vector.as_of - DAY).days)
            time.sleep(0.001)

    writer.start()
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.join()
    assert writer.exitcode == 0
    assert not failures
    assert len(seen) > 1


def test_reader_finds_the_new_file_after_a_reset(store: SqliteOnlineStore, tmp_path: Path) -> None:
    """The data folder was emptied and filled again under a running reader."""
    store.put_features(SET, DAY, [("1", {"a": 1, "b": 1})])
    assert store.get_features(SET, "1") is not None
    for file in (tmp_path / "serving").iterdir():
        file.unlink()
    assert store.get_features(SET, "1") is None
    SqliteOnlineStore(tmp_path / "serving" / "online.sqlite").put_features(SET, DAY, [("2", {"a": 2, "b": 2})])
    assert store.get_features(SET, "1") is None
    assert store.get_features(SET, "2") is not None


def test_file_that_is_no_database_is_an_error_and_not_an_absence(tmp_path: Path) -> None:
    """404 for every household would hide it."""
    path = tmp_path / "online.sqlite"
    path.write_bytes(b"not a database, though long enough to look at" * 50)
    store = SqliteOnlineStore(path)
    with pytest.raises(OnlineStoreError, match="cannot be read: file is not a database"):
        store.get_features(SET, "1")
    with pytest.raises(OnlineStoreError, match="was not written"):
        store.put_features(SET, DAY, [])


def test_empty_file_of_a_writer_that_has_just_begun_reads_as_nothing_stored(tmp_path: Path) -> None:
    """Between the file and its tables."""
    (tmp_path / "online.sqlite").touch()
    assert SqliteOnlineStore(tmp_path / "online.sqlite").get_features(SET, "1") is None


def test_a_read_takes_less_than_a_millisecond(store: SqliteOnlineStore) -> None:
    """The median of 500 reads among 2,500 entities, generous for a busy machine (0.03 ms on a quiet one)."""
    store.put_features(SET, DAY, [(str(entity), {"a": 1.0, "b": 2.0}) for entity in range(2500)])
    taken = []
    for entity in range(500):
        start = time.perf_counter()
        assert store.get_features(SET, str(entity)) is not None
        taken.append(time.perf_counter() - start)
    assert sorted(taken)[250] < 0.001
    store.close()
    assert store.get_features(SET, "1") is not None  # opens again


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        max_size=5,
    )
)
def test_any_entity_and_any_number_come_back_unchanged(
    store: SqliteOnlineStore, entities: dict[str, float | None]
) -> None:
    """To the last bit, quotes and percent signs in names included."""
    store.put_features(SET, DAY, [(entity, {"a": value, "b": None}) for entity, value in entities.items()])
    for entity, value in entities.items():
        found = store.get_features(SET, entity)
        assert found is not None
        assert found.values["a"] == value
