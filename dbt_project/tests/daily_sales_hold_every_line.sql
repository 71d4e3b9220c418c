-- The days' lines are those of the order lines; in a full test each day's are, and its sales to the cent.
{# Dagster shows a test of several models as the check of the one that it names here. #}
{{ config(meta={"dagster": {"ref": {"name": "fct_daily_sales"}}}) }}

with

lines as (
    select
        {% if all_rows_are_tested() -%}
        order_date,
        {{ sum_money("sales_value") }} as sales_value,
        {% endif -%}
        count(*) as line_count
    from {{ ref("fct_order_lines") }}
    {%- if all_rows_are_tested() %}
    group by order_date
    {%- endif %}
),

daily as (
    select
        {% if all_rows_are_tested() -%}
        order_date,
        {{ sum_money("sales_value") }} as sales_value,
        {% endif -%}
        cast(coalesce(sum(line_count), 0) as bigint) as line_count
    from {{ ref("fct_daily_sales") }}
    {%- if all_rows_are_tested() %}
    group by order_date
    {%- endif %}
)

select
    lines.line_count,
    daily.line_count as daily_line_count
from lines
{% if all_rows_are_tested() -%}
full outer join daily on lines.order_date = daily.order_date
{%- else -%}
cross join daily
{%- endif %}
where
    lines.line_count is distinct from daily.line_count
    {%- if all_rows_are_tested() %}
    or lines.sales_value is distinct from daily.sales_value
    {%- endif %}
