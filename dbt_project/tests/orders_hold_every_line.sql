-- The orders' lines are those of the order lines, and in a full test their sales to the cent.
{# Dagster shows a test of several models as the check of the one that it names here. #}
{{ config(meta={"dagster": {"ref": {"name": "fct_orders"}}}) }}

with

lines as (
    select
        {% if all_rows_are_tested() -%}
        {{ sum_money("sales_value") }} as sales_value,
        {% endif -%}
        count(*) as line_count
    from {{ ref("fct_order_lines") }}
),

orders as (
    select
        {% if all_rows_are_tested() -%}
        {{ sum_money("sales_value") }} as sales_value,
        {% endif -%}
        coalesce(sum(line_count), 0) as line_count
    from {{ ref("fct_orders") }}
)

select
    lines.line_count,
    orders.line_count as order_line_count
from lines
cross join orders
where
    lines.line_count != orders.line_count
    {%- if all_rows_are_tested() %}
    or abs(lines.sales_value - orders.sales_value) >= 0.005
    {%- endif %}
