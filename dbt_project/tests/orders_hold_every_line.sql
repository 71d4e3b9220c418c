-- The orders' lines and sales are those of the order lines, to the cent.
{# Dagster shows a test of several models as the check of the one that it names here. #}
{{ config(meta={"dagster": {"ref": {"name": "fct_orders"}}}) }}

with

lines as (
    select
        count(*) as line_count,
        {{ sum_money("sales_value") }} as sales_value
    from {{ ref("fct_order_lines") }}
),

orders as (
    select
        coalesce(sum(line_count), 0) as line_count,
        {{ sum_money("sales_value") }} as sales_value
    from {{ ref("fct_orders") }}
)

select
    lines.line_count,
    lines.sales_value,
    orders.line_count as order_line_count,
    orders.sales_value as order_sales_value
from lines
cross join orders
where lines.line_count != orders.line_count or abs(lines.sales_value - orders.sales_value) >= 0.005
