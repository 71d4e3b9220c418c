"""What a SELECT's columns are made of, and what decides its rows: each against a truth written by hand."""

# ruff: noqa: S608 - the statements are made here to be read, and never run

import pytest

from platform_assets.lineage.statement import StatementLineage, StatementUnreadable, read_statement
from platform_assets.lineage.values import Columns, Table

SCHEMA = {
    "t.lines": Table(["id", "order_id", "product_id", "units", "sales", "at"], frozenset({frozenset({"id"})})),
    "t.products": Table(["product_id", "brand", "price"], frozenset({frozenset({"product_id"})})),
    "t.prices": Table(["product_id", "price"]),
    "t.events": Table(["id", "name", "payload"]),
}


def read(sql: str) -> StatementLineage:
    found = read_statement(sql, SCHEMA)
    assert found.unknown == ()
    return found


def names(columns: Columns) -> str:
    return " ".join(sorted(f"{table.removeprefix('t.')}.{column}" for table, column in columns))


def column(sql: str, name: str) -> tuple[str, str]:
    """What a column is made of, and what else decides it."""
    value = read(sql).relation.columns[name]
    return names(value.direct), names(value.condition - value.direct)


def rows(sql: str) -> str:
    return names(read(sql).relation.rows)


@pytest.mark.parametrize(
    ("expression", "direct", "condition"),
    [
        ("units * sales", "lines.sales lines.units", ""),
        ("cast(units as bigint)", "lines.units", ""),
        ("'x'", "", ""),
        ("coalesce(units, 0) + 1", "lines.units", ""),
        ("case when units > 0 then sales else 0 end", "lines.sales", "lines.units"),
        ("case units when 1 then 'a' else 'b' end", "", "lines.units"),
        ("if(units > 0, sales, id)", "lines.id lines.sales", "lines.units"),
        ("units > 0 and sales = 0", "lines.sales lines.units", ""),
        ("lag(sales) over (partition by order_id order by at)", "lines.sales", "lines.at lines.order_id"),
        ("row_number() over (partition by order_id order by at)", "", "lines.at lines.order_id"),
        ("sales in (select price from t.prices where product_id > 1)", "lines.sales prices.price",
         "prices.* prices.product_id"),
        ("(select max(price) from t.prices as p where p.product_id = l.product_id)", "prices.price",
         "lines.product_id prices.* prices.product_id"),
        ("exists (select 1 from t.prices as p where p.product_id = l.product_id)", "",
         "lines.product_id prices.* prices.product_id"),
    ],
)  # fmt: skip
def test_expression_is_made_of_its_values_and_decided_by_its_tests(
    expression: str, direct: str, condition: str
) -> None:
    assert column(f"select {expression} as x from t.lines as l", "x") == (direct, condition)


@pytest.mark.parametrize(
    ("aggregate", "direct", "condition"),
    [
        ("sum(sales)", "lines.sales", ""),
        ("count(*)", "lines.*", ""),
        ("count(distinct product_id)", "lines.product_id", ""),
        ("sum(sales) filter (where units > 0)", "lines.sales", "lines.units"),
        ("arg_min(product_id, (at, id))", "lines.product_id", "lines.at lines.id"),
        ("list(product_id order by at)", "lines.product_id", "lines.at"),
        ("quantile_cont(sales, 0.5)", "lines.sales", ""),
    ],
)
def test_aggregate_is_made_of_what_it_adds_up(aggregate: str, direct: str, condition: str) -> None:
    sql = f"select order_id, {aggregate} as x from t.lines group by order_id"
    assert column(sql, "x") == (direct, condition)
    assert rows(sql) == "lines.* lines.order_id"


def test_filters_joins_groups_and_distinct_decide_the_rows() -> None:
    assert rows("select id from t.lines where units > 0 order by sales") == "lines.* lines.units"
    assert rows("select id from t.lines order by sales limit 3") == "lines.* lines.sales"
    assert rows("select units * sales as worth from t.lines order by worth limit 3") == (
        "lines.* lines.sales lines.units"
    )
    assert rows("with l as (select * from t.lines) select at from l order by at limit 1") == "lines.* lines.at"
    assert rows("select distinct product_id from t.lines") == "lines.* lines.product_id"
    assert (
        rows("select order_id from t.lines group by all having sum(sales) > 1") == "lines.* lines.order_id lines.sales"
    )
    assert rows("select id from t.lines qualify row_number() over (partition by order_id order by at) = 1") == (
        "lines.* lines.at lines.order_id"
    )
    assert rows("select l.id from t.lines as l join t.prices as p on l.product_id = p.product_id") == (
        "lines.* lines.product_id prices.* prices.product_id"
    )


def test_semi_and_anti_joins_decide_which_rows_stay() -> None:
    for kind in ("semi", "anti"):
        sql = f"select l.id from t.lines as l {kind} join t.prices as p on l.product_id = p.product_id and p.price > 1"
        assert rows(sql) == "lines.* lines.product_id prices.* prices.price prices.product_id"
        assert read(sql).relation.keys == {frozenset({"id"})}


def test_left_join_on_a_unique_key_decides_only_the_columns_that_it_brings() -> None:
    """On any other column it may bring rows twice; and a condition that is no equality may too."""
    sql = "select l.*, p.brand from t.lines as l left join t.{} as p on l.product_id = p.product_id"
    assert rows(sql.format("products")) == "lines.*"
    assert column(sql.format("products"), "sales") == ("lines.sales", "")
    assert column(sql.format("products"), "brand") == (
        "products.brand", "lines.product_id products.* products.product_id",
    )  # fmt: skip
    assert rows(sql.format("prices").replace("p.brand", "p.price")) == (
        "lines.* lines.product_id prices.* prices.product_id"
    )
    assert "products.price" in rows("select l.id from t.lines as l left join t.products as p on l.sales > p.price")
    grouped = (
        "with by_product as (select product_id, max(price) as price from t.prices group by product_id) "
        "select l.id, b.price from t.lines as l left join by_product as b using (product_id)"
    )
    assert rows(grouped) == "lines.*"
    assert read(grouped).relation.keys == {frozenset({"id"})}


def test_single_row_that_is_joined_changes_no_row() -> None:
    sql = (
        "with total as (select sum(sales) as sales from t.lines where units > 0) "
        "select p.brand, p.price / total.sales as share from t.products as p cross join total"
    )
    assert rows(sql) == "products.*"
    assert column(sql, "share") == ("lines.sales products.price", "lines.* lines.units")


def test_unions_are_followed_by_position_and_except_by_everything() -> None:
    sql = "select id, sales from t.lines union all select product_id, price from t.prices"
    assert column(sql, "sales") == ("lines.sales prices.price", "")
    assert rows(sql) == "lines.* prices.*"
    assert (
        rows(sql.replace("union all", "union"))
        == "lines.* lines.id lines.sales prices.* prices.price prices.product_id"
    )
    difference = "select product_id from t.lines except select product_id from t.prices"
    assert column(difference, "product_id") == ("lines.product_id", "")
    assert rows(difference) == "lines.* lines.product_id prices.* prices.product_id"


@pytest.mark.parametrize(
    "parsed",
    [
        """json_transform(payload, '{"amount": "DOUBLE", "other": "VARCHAR"}') as p""",
        """from_json(payload, '{"amount": "DOUBLE", "other": "VARCHAR"}') as p""",
        "cast(payload as json) as p",
    ],
)
def test_fields_of_a_json_text_are_followed_by_name(parsed: str) -> None:
    sql = f"with e as (select {parsed} from t.events) select "
    expression = "p ->> '$.amount'" if "cast" in parsed else "p['amount']"
    assert column(f"{sql} {expression} as x from e", "x") == ("events.payload.amount", "")


def test_every_way_to_a_json_field_is_the_same_field() -> None:
    for expression in ("payload -> '$.a.b'", "json_extract_string(payload, '$.a.b')", "payload -> 'a' -> 'b'"):
        assert column(f"select {expression} as x from t.events", "x") == ("events.payload.a.b", "")
    assert column("select json_extract(payload, name) as x from t.events", "x") == ("events.name events.payload", "")
    assert column("select json_extract(payload, '$.a[0]') as x from t.events", "x") == ("events.payload", "")


def test_structs_are_followed_by_field() -> None:
    sql = "with q as (select {'a': sales, 'b': units} as s from t.lines) select s.a as x, s['b'] as y, s as z from q"
    assert column(sql, "x") == ("lines.sales", "")
    assert column(sql, "y") == ("lines.units", "")
    assert column(sql, "z") == ("lines.sales lines.units", "")


def test_unnest_makes_rows_of_its_list() -> None:
    sql = "select id, unnest(cast(cast(payload as json) as varchar[])) as one from t.events"
    assert column(sql, "one") == ("events.payload", "")
    assert rows(sql) == "events.* events.payload"


def test_recursive_query_is_followed_to_its_source() -> None:
    sql = (
        "with recursive r as ("
        "select id, sales from t.lines union all select r.id, r.sales + 1 from r where r.sales < 9"
        ") select sales from r"
    )
    assert column(sql, "sales")[0] == "lines.sales"


def test_star_takes_columns_in_their_order_with_exceptions() -> None:
    found = read("select * exclude (at), sales as again from t.lines")
    assert list(found.relation.columns) == ["id", "order_id", "product_id", "units", "sales", "again"]


def test_table_without_a_schema_is_known_by_what_is_read_of_it() -> None:
    found = read_statement("select user_id, count(*) as events from raw_user_events group by user_id", {})
    assert found.sources == {"raw_user_events"}
    assert found.relation.columns["user_id"].direct == {("raw_user_events", "user_id")}


def test_column_that_the_schema_lacks_is_reported_and_not_guessed() -> None:
    found = read_statement("select l.nothing as x from t.lines as l", SCHEMA)
    assert found.unknown == ("l.nothing",)
    assert found.relation.columns["x"].all == frozenset()


@pytest.mark.parametrize("sql", ["selec x", "drop table t.lines", "", "select (("])
def test_what_is_no_query_is_refused_with_the_reason(sql: str) -> None:
    with pytest.raises(StatementUnreadable):
        read_statement(sql, SCHEMA)
