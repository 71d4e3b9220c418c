"""Data sets of every kind are opened by name, judged, remembered and told of."""

import dataclasses
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.quality.reading import read_expectations
from resources.quality.datasets import Datasets
from resources.quality.files import DatasetUnreadable
from resources.quality.history import QualityHistory
from resources.quality.validating import DataQuality
from resources.settings import Settings
from resources.settings.object_storage import ObjectStorageSettings
from resources.warehouse import Warehouse
from resources.warehouse.mart_copies import ServedMart
from resources.warehouse.snapshots import publish_snapshot
from tests.resources.quality.conftest import KeepingNotifier
from tests.s3_server import running_storage

IDS = read_expectations([{"type": "not_null", "column": "id"}, {"type": "range", "column": "id", "max": 2}])
ROWS = pa.table({"id": [1, 2, 3], "name": ["a", "b", "c"]})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("users.csv", "id,name\n1,a\n2,b\n3,c\n"),
        ("users.tsv", "id\tname\n1\ta\n2\tb\n3\tc\n"),
        ("users.json", '[{"id": 1}, {"id": 2}, {"id": 3}]'),
        ("users.jsonl", '{"id": 1}\n{"id": 2}\n{"id": 3}\n'),
    ],
)
def test_text_files_are_judged(quality: DataQuality, tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    result = quality.validate(str(path), IDS)
    assert (result.row_count, [found.failing for found in result.results]) == (3, [0, 1])


@pytest.mark.parametrize("name", ["one.parquet", "*.parquet", "", "o'ne.parquet"])
def test_parquet_files_patterns_and_folders_are_judged(quality: DataQuality, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    pq.write_table(ROWS, folder / (name if name.startswith("o") else "one.parquet"))
    result = quality.validate(str(folder / name), IDS)
    assert (result.row_count, [found.failing for found in result.results]) == (3, [0, 1])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere/users.parquet", "nowhere/users.parquet"),
        ("nowhere/*.csv", "nowhere"),
        ("data/users.xlsx", "ends in one of .parquet"),
        ("users", "name a file"),
        ("a.b.c", "name a file"),
        ("marts.fct_orders", "There is no warehouse"),
    ],
)
def test_data_set_that_is_not_there_is_named(quality: DataQuality, name: str, said: str) -> None:
    with pytest.raises(DatasetUnreadable, match=said):
        quality.validate(name, IDS)


@pytest.fixture
def warehouse(settings: Settings) -> Warehouse:
    """A warehouse with two tables, of which one is published as it was before its last row."""
    warehouse = Warehouse.of(settings)
    with warehouse.write("test") as connection:
        connection.execute("CREATE SCHEMA raw; CREATE SCHEMA marts")
        connection.execute("CREATE TABLE raw.products AS SELECT unnest([1, 2]) AS id")
        connection.execute("CREATE TABLE marts.dim_products AS SELECT unnest([1, 2, 3]) AS id")
    publish_snapshot(warehouse, settings.snapshots_dir, [ServedMart("dim_products", ("id",))])
    with warehouse.write("test") as connection:
        connection.execute("INSERT INTO marts.dim_products VALUES (4)")
    return warehouse


def test_published_mart_is_read_while_a_writer_has_the_warehouse(quality: DataQuality, warehouse: Warehouse) -> None:
    with warehouse.write("a long build"):
        assert quality.validate("marts.dim_products", IDS).row_count == 3


@pytest.mark.usefixtures("warehouse")
def test_tables_are_read_in_the_warehouse_and_refer_to_published_ones_and_files(
    settings: Settings, quality: DataQuality, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"id": [2]}), tmp_path / "known.parquet")
    keys = read_expectations(
        [
            {"type": "foreign_key", "column": "id", "to": "marts.dim_products", "field": "id", "name": "published"},
            {"type": "foreign_key", "column": "id", "to": str(tmp_path / "known.parquet"), "field": "id"},
            {"type": "foreign_key", "column": "id", "to": "raw.nothing", "field": "id", "name": "nowhere"},
        ]
    )
    result = quality.validate("raw.products", keys)
    assert [found.failing for found in result.results] == [0, 1, 0]
    assert result.results[2].problem == "raw.nothing: the warehouse has no such table"
    with Datasets.of(settings, published=False).open("marts.dim_products") as current:
        assert current.connection.sql(f"FROM {current.relation}").fetchall() == [(1,), (2,), (3,), (4,)]


def test_custom_sql_gives_the_rows_that_should_not_be_there(quality: DataQuality, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": list(range(20))}), path)
    expectations = read_expectations(
        [
            {"type": "custom_sql", "sql": "SELECT * FROM dataset WHERE id >= 7 ORDER BY id; ", "name": "few"},
            {"type": "custom_sql", "sql": "SELECT id FROM dataset WHERE id = 7 -- one", "name": "one", "max_rows": 1},
        ]
    )
    result = quality.validate(str(path), expectations)
    assert [(found.success, found.details["rows"]) for found in result.results] == [(False, 13), (True, 1)]
    assert [sample.values for sample in result.results[0].samples] == [{"id": n} for n in (7, 8, 9, 10, 11)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY dataset TO '/tmp/stolen.csv'",
        "ATTACH '/tmp/other.duckdb'",
        "INSTALL httpfs",
        "SET memory_limit = '99GB'",
        "DELETE FROM dataset",
        "SELECT 1) UNION (SELECT 2",
        "SELECT 1; SELECT 2",
        "SELECT * FROM nowhere",
        "no sql",
    ],
)
def test_custom_sql_reaches_nothing_but_the_data_set(quality: DataQuality, tmp_path: Path, sql: str) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(ROWS, path)
    (found,) = quality.validate(str(path), read_expectations([{"type": "custom_sql", "sql": sql}])).results
    assert not found.success
    assert found.problem
    assert found.samples == ()


def test_failure_is_remembered_and_told_once_with_its_numbers_and_its_end_too(
    quality: DataQuality, history: QualityHistory, notifier: KeepingNotifier, tmp_path: Path
) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(ROWS, path)
    failed = quality.validate(str(path), IDS, suite="ids")
    pq.write_table(ROWS.slice(0, 2), path)
    passed = quality.validate(str(path), IDS, suite="ids")
    (told,) = notifier.sent
    (ended,) = notifier.resolved
    assert (told.title, told.body) == (f"{path}: 1 of 2 expectations fail", "range_id: 1 of 3 rows fail (33.33%)")
    assert told.dedup_key == ended.dedup_key
    newest, *_, oldest = history.results(str(path))
    assert (newest.checked_at, newest.success, newest.row_count) == (passed.checked_at, True, 2)
    assert (oldest.checked_at, oldest.suite, oldest.expectation) == (failed.checked_at, "ids", "not_null_id")
    (failure,) = history.results(only_failed=True)
    assert (failure.expectation, failure.failing, failure.judged) == ("range_id", 1, 3)


def test_results_older_than_they_are_kept_go(settings: Settings, quality: DataQuality, tmp_path: Path) -> None:
    """Each validation takes the old ones away."""
    path = tmp_path / "rows.parquet"
    pq.write_table(ROWS, path)
    result = quality.validate(str(path), IDS)
    history = QualityHistory(settings.quality_history_path, keep_days=7)
    later = dataclasses.replace(result, checked_at=result.checked_at + dt.timedelta(days=6))
    history.append(later, suite="ids")
    assert len(history.results()) == 4
    history.append(dataclasses.replace(result, checked_at=result.checked_at + dt.timedelta(days=8)), suite="ids")
    assert {past.suite for past in history.results()} == {"ids"}


@pytest.fixture(scope="module")
def storage() -> Iterator[ObjectStorageSettings]:
    """A bucket of users."""
    sink = pa.BufferOutputStream()
    pq.write_table(ROWS, sink)
    parquet = sink.getvalue().to_pybytes()
    objects = dict.fromkeys(("users.parquet", "days/1.parquet", "days/2.parquet"), parquet)
    with running_storage("lake", {**objects, "users.csv": b"id,name\n1,a\n2,b\n3,c\n"}) as storage:
        yield storage


@pytest.mark.parametrize(("name", "rows"), [("users.parquet", 3), ("days/", 6), ("users.csv", 3)])
def test_objects_and_prefixes_are_judged(
    settings: Settings, history: QualityHistory, storage: ObjectStorageSettings, name: str, rows: int
) -> None:
    quality = DataQuality(Datasets(Warehouse.of(settings), None, storage), history, KeepingNotifier(), sample_rows=5)
    expectations = [*IDS, *read_expectations([{"type": "custom_sql", "sql": "FROM dataset WHERE name = 'c'"}])]
    result = quality.validate(f"s3://lake/{name}", expectations)
    assert result.row_count == rows
    assert [found.failing for found in result.results] == [0, rows // 3, 0]
    assert result.results[1].samples[0].values == {"id": 3, "name": "c"}
    assert result.results[2].details["rows"] == rows // 3


@pytest.mark.parametrize("name", ["s3://lake/nothing.parquet", "s3://nowhere/users.parquet", "s3://lake/"])
def test_object_that_is_not_there_is_named_without_the_secret(
    settings: Settings, history: QualityHistory, storage: ObjectStorageSettings, name: str
) -> None:
    quality = DataQuality(Datasets(Warehouse.of(settings), None, storage), history, KeepingNotifier(), sample_rows=5)
    with pytest.raises(DatasetUnreadable, match=name) as caught:
        quality.validate(name, IDS)
    assert "a-secret-of-the-storage" not in str(caught.value)
