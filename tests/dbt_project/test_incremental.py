"""What the incremental builds come to is what one build of everything makes, whatever came late or in between."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.dbt_project.compiled_models import (
    SCHEMAS,
    CompiledModel,
    build_new,
    build_whole,
    compiled_models,
    copy_origins,
    differences,
)
from tests.dbt_project.dbt_build import DBT_PROJECT, Built, run_dbt, run_dbt_build
from tests.dbt_project.random_loads import RandomLoads

ROUNDS = 6
BUILDS_A_ROUND = 5


@pytest.fixture(scope="session")
def continued(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The built sample after a second load and a second `dbt build`."""
    folder = tmp_path_factory.mktemp("continued")
    return _build_again(folder, _changed_copy(built, folder, SECOND_LOAD))


def _changed_copy(built: Built, folder: Path, statements: str) -> Path:
    """Its warehouse after some statements, beside what dbt parsed, so that it does not parse again."""
    warehouse = folder / built.warehouse.name
    shutil.copy(built.warehouse, warehouse)
    shutil.copytree(built.artefacts, folder / "target")
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(statements)
    return warehouse


def _build_again(folder: Path, warehouse: Path, *arguments: str) -> Built:
    run_dbt_build(
        DBT_PROJECT,
        _environment(folder, warehouse),
        "--exclude-resource-type",
        "unit_test",
        *arguments,
    )
    return Built(warehouse=warehouse, artefacts=folder / "target")


def _environment(folder: Path, warehouse: Path) -> dict[str, str]:
    return {
        "ANALYTICS_WAREHOUSE__PATH": str(warehouse),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }


# A line of the first order comes a day before it, one in the middle of two sessions and one of a product that the
# catalogue gets only now; one product changes, one goes; a rejected event is replayed, one is rejected again.
SECOND_LOAD = """
create temp table first_order as
    select order_id, household_id, store_id, ordered_at from marts.fct_orders order by ordered_at, order_id limit 1;
create temp table two_sessions as
    select household_id, ended_at, next_started_at
    from (
        select *, lead(started_at) over (partition by household_id order by started_at) as next_started_at
        from marts.fct_sessions
    )
    where next_started_at - ended_at < interval 59 minutes
    order by ended_at, household_id limit 1;
create temp table payloads as
    select $$
    {"store_id":"330","quantity":1,"sales_value":1.0,"retail_disc":0.0,"coupon_disc":0.0,"coupon_match_disc":0.0}
    $$::json as payload;

insert into raw.events by name
with second_load as (
    select
        'late-line' as event_id, household_id as user_id, ordered_at - interval 1 day as occurred_at,
        json_object('basket_id', order_id, 'product_id', '999999999') as line
    from first_order
    union all
    select
        'between-sessions', household_id, ended_at + (next_started_at - ended_at) / 2,
        json_object('basket_id', 'between', 'product_id', '1')
    from two_sessions
)
select
    event_id, 'transaction' as event_type, 'purchase_line' as event_name, user_id, occurred_at, now() as received_at,
    'complete_journey' as source_service, 1 as schema_version, 'late' as correlation_id,
    json_merge_patch(payload, line)::varchar as payload, 'log-1' as log, 0 as kafka_partition,
    1000000 + row_number() over () as kafka_offset, now() as loaded_at
from second_load, payloads
union all
select
    event_id, 'custom', 'mended', null, rejected_at, rejected_at, 'complete_journey', 1, 'replay:' || rejection_id,
    '{}', 'log-1', 0, 2000000, now()
from (select * from raw.rejected_events where origin = 'stream' limit 1);

insert into raw.rejected_events
    select * replace ('rejected-again' as rejection_id, rejected_at + interval 1 second as rejected_at,
        9 as kafka_offset, now() as loaded_at)
    from raw.rejected_events where origin = 'door' order by rejection_id limit 1;

update raw.products set loaded_at = now();
insert into raw.products by name select '999999999' as product_id, 'GROCERY' as department, 'Private' as brand;
update raw.products set department = 'MOVED'
    where product_id = (select mode(product_id) from marts.fct_order_lines where not is_product_unknown);
delete from raw.products
    where product_id = (select min(product_id) from marts.fct_order_lines where not is_product_unknown);
"""


@pytest.fixture(scope="session")
def models(built: Built, continued: Built) -> list[CompiledModel]:
    """The models' SQL, whole and continued."""
    return compiled_models(built, continued)


@pytest.fixture
def scratch() -> Iterator[duckdb.DuckDBPyConnection]:
    """Two warehouses in memory, `warehouse` and `whole`; the first is the one that names mean."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'; set threads = 2")
        for catalog in ("whole", "warehouse"):
            connection.execute(f"attach ':memory:' as {catalog}; use {catalog}")
            for schema in SCHEMAS:
                connection.execute(f"create schema {schema}")
        yield connection


def test_second_build_equals_a_build_of_everything(
    continued: Built, models: list[CompiledModel], scratch: duckdb.DuckDBPyConnection
) -> None:
    """Run by dbt itself; all tests passed, and all of them ran."""
    statuses = {result["status"] for result in continued.artefact("run_results")["results"]}
    assert statuses <= {"success", "pass", "no-op"}
    scratch.execute(f"attach '{continued.warehouse}' as dbt (read_only)")
    copy_origins(scratch, "dbt", "whole")
    build_whole(scratch, models, catalog="whole")
    assert differences(scratch, models, "dbt", "whole") == {}


def test_second_build_did_what_the_second_load_asked_for(continued: Built) -> None:
    lines = dict(
        continued.rows(
            "select event_id, (department, is_product_unknown)::varchar from marts.fct_order_lines "
            "where event_id in ('late-line', 'between-sessions')"
        )
    )
    assert lines == {"late-line": "(GROCERY, false)", "between-sessions": "(NULL, true)"}
    assert continued.rows("select distinct is_product_unknown from marts.fct_order_lines where department = 'MOVED'")
    statuses = "select status, count(*) from marts.fct_rejections group by status order by status"
    assert [status for status, _ in continued.rows(statuses)] == ["open", "replayed", "superseded"]
    versions = continued.rows("select count(*) - count(distinct product_id) from intermediate.snap_shop__products")
    ended = continued.rows("select count(*) from intermediate.snap_shop__products where dbt_valid_to is not null")
    assert (versions, ended) == ([(1,)], [(2,)])


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_random_loads_in_any_order_end_as_a_build_of_everything(
    seed: int, continued: Built, models: list[CompiledModel], scratch: duckdb.DuckDBPyConnection
) -> None:
    """Some builds are killed between two models, some loads are built together: the last build makes it all good."""
    scratch.execute(f"attach '{continued.warehouse}' as dbt (read_only)")
    copy_origins(scratch, "dbt", "warehouse", rows=False)
    dice = random.Random(seed)  # noqa: S311 - dice
    loads = RandomLoads(scratch, seed)
    loads.change_products()
    loads.load_events(dice.choice((0, 40)))
    if seed % 3 == 2:
        loads.load_sleepless_household()
    build_whole(scratch, models)
    for build in range(BUILDS_A_ROUND):
        for _ in range(dice.choice((1, 1, 2))):
            loads.load_events(dice.randrange(25))
            loads.load_rejections(dice.randrange(4))
        if dice.random() < 0.5:
            loads.change_products()
        is_last = build == BUILDS_A_ROUND - 1
        build_new(scratch, models if is_last or dice.random() < 0.6 else models[: dice.randrange(len(models))])
    copy_origins(scratch, "warehouse", "whole")
    build_whole(scratch, models, catalog="whole")
    assert differences(scratch, models, "warehouse", "whole") == {}
    assert scratch.execute("select count(*) > 0 from marts.fct_sessions where order_count > 1").fetchone() == (True,)


DAMAGE = """
delete from marts.fct_order_lines where order_date = '2017-01-10' and event_id < '8';
update marts.fct_order_lines set quantity = quantity + 1 where order_date = '2017-01-11';
insert into marts.fct_order_lines
    select * replace ('invented' as event_id, 'invented' as order_id)
    from marts.fct_order_lines where order_date = '2017-01-11' limit 1;
update marts.fct_order_lines set retail_disc = -1 where order_date = '2017-01-12';
delete from marts.fct_orders where order_date = '2017-01-10';
update marts.fct_event_days set event_count = 0 where event_date between '2017-01-10' and '2017-01-11';
delete from marts.fct_quality_days where order_date = '2017-01-11';
update marts.fct_daily_sales set sales_value = 0 where order_date between '2017-01-10' and '2017-01-11';
"""


def test_asked_days_are_made_again_and_no_other_and_a_full_test_holds_them_against_their_origins(
    continued: Built, tmp_path: Path
) -> None:
    warehouse = _changed_copy(continued, tmp_path, DAMAGE)
    variables = '{"first_day": "2017-01-10", "last_day": "2017-01-11", "full_tests": true}'
    repaired = _build_again(tmp_path, warehouse, "--select", "tag:daily", "--vars", variables)
    for mart in ("fct_order_lines", "fct_orders", "fct_event_days", "fct_quality_days", "fct_daily_sales"):
        kept = "order_date != '2017-01-12'" if mart == "fct_order_lines" else "true"
        query = f"select * from marts.{mart} where {kept} order by all"  # noqa: S608 - our own names
        assert repaired.rows(query) == continued.rows(query), mart
    left_alone = "select distinct retail_disc from marts.fct_order_lines where order_date = '2017-01-12'"
    assert repaired.rows(left_alone) == [(-1.0,)]


OLD_LINE_ONCE_MORE = """
insert into staging.stg_events__purchase_lines
    from staging.stg_events__purchase_lines order by loaded_at, event_id limit 1;
insert into marts.fct_order_lines from marts.fct_order_lines order by loaded_at, event_id limit 1;
"""


def test_old_line_that_stands_twice_fails_by_counting_and_in_a_full_test_by_its_id(
    continued: Built, tmp_path: Path
) -> None:
    """Its id is not looked for among all rows by every build: that would cost what was there before."""
    warehouse = _changed_copy(continued, tmp_path, OLD_LINE_ONCE_MORE)
    counting = {
        "purchase_lines_are_as_many_as_their_events",
        "orders_hold_every_line",
        "daily_sales_hold_every_line",
    }
    assert _failing_tests(tmp_path, warehouse) == counting
    by_id = {"purchase_line_id_is_unique", "order_line_id_is_unique"}
    assert _failing_tests(tmp_path, warehouse, "--vars", "full_tests: true") >= counting | by_id


def _failing_tests(folder: Path, warehouse: Path, *arguments: str) -> set[str]:
    """Of the lines, staged and in the mart."""
    with pytest.raises(AssertionError):
        run_dbt(
            DBT_PROJECT,
            _environment(folder, warehouse),
            *("test", "--select", "stg_events__purchase_lines", "fct_order_lines", *arguments),
        )
    results = Built(warehouse, folder / "target").artefact("run_results")["results"]
    return {one["unique_id"].split(".")[2] for one in results if one["status"] == "fail"}
