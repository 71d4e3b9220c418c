-- The sessions' lines and sales are those of the order lines that have a household, to the cent.
{# Dagster shows a test of several models as the check of the one that it names here. #}
{{ config(meta={"dagster": {"ref": {"name": "fct_sessions"}}}) }}

with

lines as (
    select
        count(*) as line_count,
        {{ sum_money("sales_value") }} as sales_value
    from {{ ref("fct_order_lines") }}
    where household_id is not null
),

sessions as (
    select
        coalesce(sum(line_count), 0) as line_count,
        {{ sum_money("sales_value") }} as sales_value
    from {{ ref("fct_sessions") }}
)

select
    lines.line_count,
    lines.sales_value,
    sessions.line_count as session_line_count,
    sessions.sales_value as session_sales_value
from lines
cross join sessions
where lines.line_count != sessions.line_count or abs(lines.sales_value - sessions.sales_value) >= 0.005
