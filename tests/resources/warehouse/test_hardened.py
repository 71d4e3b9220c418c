"""A person's query reads the tables that it was given, within its limits, and nothing else (security 19 to 22)."""

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from platform_assets.quality.sql_text import quoted
from resources.warehouse.hardened import (
    DatabaseUnreadable,
    HardenedDatabase,
    QueryLimits,
    QueryTooLarge,
    QueryTooLong,
)
from resources.warehouse.person_sql import QueryInvalid, QueryRefused


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose folder, file and column have names with quotes and spaces."""
    path = tmp_path_factory.mktemp("it's a folder") / 'it\'s "here".duckdb'
    with duckdb.connect(path) as connection:
        connection.execute("CREATE SCHEMA marts")
        connection.execute(
            'CREATE TABLE marts.orders AS SELECT range AS id, range % 7 AS "day ""x""" FROM range(10000)'
        )
    return path


@pytest.fixture(scope="module")
def database(file: Path) -> Iterator[HardenedDatabase]:
    with HardenedDatabase({"shop": file}, limits=QueryLimits(seconds=1, rows=100, memory="64MB")) as opened:
        yield opened


def test_tables_and_bound_values_are_read(database: HardenedDatabase) -> None:
    found = database.ask("SELECT count(*) AS n, ? AS told FROM marts.orders WHERE id < ?", ["x'; DROP TABLE y", 10])
    assert (found.columns, found.rows, found.truncated) == (("n", "told"), [(10, "x'; DROP TABLE y")], False)


@pytest.mark.parametrize(
    "query",
    [
        "WITH o AS (FROM marts.orders) SELECT id, row_number() OVER (ORDER BY id) FROM o QUALIFY id < 3",
        "FROM shop.marts.orders SELECT id LIMIT 1",
        "SELECT * FROM range(3), unnest([1, 2]);",
        "DESCRIBE marts.orders",
        "SELECT table_name FROM information_schema.tables",
    ],
)
def test_every_kind_of_select_is_allowed(database: HardenedDatabase, query: str) -> None:
    assert database.ask(query).rows


@pytest.mark.parametrize(
    "query",
    [
        "FROM read_csv('/etc/hostname')",
        "FROM read_text('/etc/hostname')",
        "FROM read_blob('/etc/hostname')",
        "FROM read_json('/etc/hostname')",
        "FROM read_parquet('/etc/hostname')",
        "FROM parquet_metadata('/etc/hostname')",
        "FROM sniff_csv('/etc/hostname')",
        "FROM glob('/etc/*')",
        "SELECT (SELECT content FROM read_text('/etc/hostname')) FROM marts.orders",
        "WITH stolen AS (FROM read_text('/etc/hostname')) SELECT * FROM stolen",
        "SELECT * FROM marts.orders WHERE id IN (SELECT size FROM read_text('/etc/hostname'))",
        "FROM query('FROM read_text(''/etc/hostname'')')",
        "FROM query_table('duckdb_databases')",
        "ATTACH '/tmp/other.duckdb'",
        "DETACH shop",
        "USE memory",
        "COPY marts.orders TO '/tmp/stolen.csv'",
        "COPY marts.orders FROM '/etc/hostname'",
        "EXPORT DATABASE '/tmp/stolen'",
        "IMPORT DATABASE '/tmp/stolen'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET enable_external_access",
        "SET VARIABLE x = 1",
        "PRAGMA database_list",
        "PRAGMA memory_limit = '10GB'",
        "CALL enable_logging()",
        "CHECKPOINT",
        "VACUUM",
        "CREATE TABLE memory.main.mine AS SELECT 1",
        "CREATE TEMP TABLE mine AS SELECT 1",
        "CREATE MACRO mine() AS 1",
        "INSERT INTO marts.orders VALUES (1, 1)",
        "UPDATE marts.orders SET id = 1",
        "DELETE FROM marts.orders",
        "DROP TABLE marts.orders",
        "BEGIN",
        "PREPARE mine AS SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE marts.orders",
        "FROM duckdb_databases()",
        "FROM duckdb_databases",
        "FROM main.duckdb_databases",
        "FROM duckdb_secrets()",
        "FROM duckdb_settings()",
        "FROM pragma_database_list",
        "SELECT current_setting('temp_directory')",
        "SELECT getenv('HOME')",
        "FROM pg_settings",
        "FROM pg_catalog.pg_settings",
        "FROM marts.orders LIMIT (SELECT count(*) FROM duckdb_settings())",
        "SELECT COLUMNS((SELECT name FROM duckdb_settings())) FROM marts.orders",
        "SELECT list_transform([1000000000], n -> system.main.\"REPEAT\"('a', n))",
        "SELECT " + "abs(" * 900 + "1" + ")" * 900,
        "SELECT 1" + " UNION ALL SELECT 1" * 5000,
        "SELECT repeat('a', 1000000000)",
    ],
)
def test_whatever_is_no_select_over_tables_is_refused(database: HardenedDatabase, query: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        database.ask(query)
    assert str(database_folder(database)) not in str(refused.value)


@pytest.mark.parametrize(
    "query",
    [
        "FROM read_csv('/etc/hostname')",
        "FROM read_text('/etc/hostname')",
        "FROM glob('/etc/*')",
        "ATTACH '/tmp/other.duckdb'",
        "COPY marts.orders TO '/tmp/stolen.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "FROM duckdb_secrets()",
        "EXPORT DATABASE '/tmp/stolen'",
    ],
)
def test_the_engine_itself_reaches_nothing_outside(database: HardenedDatabase, query: str) -> None:
    """The second wall: what would get past the look at the statement."""
    with pytest.raises(QueryRefused, match="closed"):
        database.run(query)


@pytest.mark.parametrize(
    "query", ["SET threads = 8", "SET lock_configuration = false", "PRAGMA memory_limit = '10GB'", "RESET threads"]
)
def test_the_engine_s_settings_are_locked(database: HardenedDatabase, query: str) -> None:
    with pytest.raises(QueryInvalid, match="locked"):
        database.run(query)


def test_the_engine_does_not_write_to_the_file(database: HardenedDatabase) -> None:
    with pytest.raises(QueryInvalid, match="read-only"):
        database.run("DELETE FROM shop.marts.orders")


def test_python_s_variables_are_no_tables(database: HardenedDatabase) -> None:
    """DuckDB would look for a table that it does not know among the variables of whoever calls it."""
    assert database.run("SELECT current_setting('python_enable_replacements')").rows == [(False,)]


@pytest.mark.parametrize(
    "identifier", ['id" FROM marts.orders; DROP TABLE marts.orders; --', "id' OR 1=1 --", "(SELECT 1)", "id, 1", "*"]
)
def test_sql_in_an_identifier_is_a_name_that_does_not_exist(database: HardenedDatabase, identifier: str) -> None:
    with pytest.raises(QueryInvalid, match="not found"):
        database.run(f"SELECT {quoted(identifier)} FROM marts.orders")  # noqa: S608
    odd = 'day "x"'
    assert database.run(f"SELECT {quoted(odd)} FROM marts.orders").columns == (odd,)  # noqa: S608


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM range(1000000) a, range(1000000) b",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
        "SELECT sum(hash(a.id, b.id, c.id)) FROM marts.orders a, marts.orders b, marts.orders c",
    ],
)
def test_query_without_end_is_ended_at_its_time_limit(database: HardenedDatabase, query: str) -> None:
    started = time.monotonic()
    with pytest.raises(QueryTooLong, match=r"0\.3 s"):
        database.ask(query, seconds=0.3)
    assert time.monotonic() - started < 5
    assert database.ask("SELECT 1").rows == [(1,)]


def peak_mb() -> float:
    """The largest resident set of this process since it was last cleared."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


@pytest.mark.parametrize(
    "query",
    [
        "SELECT list(range) FROM range(100000000)",
        "SELECT * FROM range(30000000) ORDER BY hash(range)",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n FROM t, range(1000)) SELECT count(*) FROM t",
    ],
)
def test_query_that_wants_too_much_memory_ends_and_leaves_no_file(database: HardenedDatabase, query: str) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak_mb()
    with pytest.raises(QueryTooLarge):
        database.ask(query, seconds=120)
    assert peak_mb() - before < 200
    assert not Path(".tmp").exists()


def test_rows_beyond_the_limit_are_neither_made_nor_hidden(database: HardenedDatabase) -> None:
    found = database.ask("SELECT * FROM range(1000000000000)")
    assert (len(found.rows), found.truncated) == (100, True)
    exact = database.ask("SELECT * FROM range(100)")
    assert (len(exact.rows), exact.truncated) == (100, False)


@pytest.mark.parametrize(
    ("query", "says"), [("SELEC 1", "no SQL"), ("FROM marts.nothing", "nothing"), ("", "0 statements")]
)
def test_mistake_in_a_query_is_named(database: HardenedDatabase, query: str, says: str) -> None:
    with pytest.raises((QueryInvalid, QueryRefused), match=says):
        database.ask(query)


def test_views_stand_beside_the_files(file: Path) -> None:
    views = {("served", "first orders"): "FROM shop.marts.orders WHERE id < 3"}
    with HardenedDatabase({"shop": file}, views=views) as opened:
        assert opened.ask('SELECT count(*) FROM served."first orders"').rows == [(3,)]


def test_file_may_be_open_for_reading_elsewhere_in_the_process(file: Path) -> None:
    """DuckDB gives a file one configuration in a process; these two have different ones."""
    with duckdb.connect(file, read_only=True), HardenedDatabase({"shop": file}) as opened:
        assert opened.ask("SELECT count(*) FROM marts.orders").rows == [(10_000,)]


def test_queries_of_several_threads_do_not_meet(database: HardenedDatabase) -> None:
    found: list[object] = []

    def look(value: int) -> None:
        query = "SELECT ? - count(*) FROM marts.orders"
        found.extend(database.ask(query, [value]).rows[0][0] - value for _ in range(50))

    threads = [threading.Thread(target=look, args=[value]) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [-10_000] * 200


def test_damaged_or_missing_file_is_said_without_its_path(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.duckdb"
    damaged.write_bytes(b"nothing of the kind" * 1000)
    for path in (damaged, tmp_path / "missing.duckdb"):
        with pytest.raises(DatabaseUnreadable) as unreadable:
            HardenedDatabase({"shop": path})
        assert str(tmp_path) not in str(unreadable.value)


def database_folder(database: HardenedDatabase) -> Path:
    """Where the file lies, as the engine knows it and a person must not."""
    rows = database.run("SELECT path FROM duckdb_databases() WHERE database_name = 'shop'").rows
    return Path(str(rows[0][0])).parent
