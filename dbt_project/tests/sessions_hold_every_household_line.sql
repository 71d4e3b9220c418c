-- The sessions' lines are those of the order lines that have a household, and in a full test their sales to the cent.
{# Dagster shows a test of several models as the check of the one that it names here. #}
{{ config(meta={"dagster": {"ref": {"name": "fct_sessions"}}}) }}

with

lines as (
    {%- if all_rows_are_tested() %}
    select
        count(*) as line_count,
        {{ sum_money("sales_value") }} as sales_value
    from {{ ref("fct_order_lines") }}
    where household_id is not null
    {%- else %}
    select coalesce(sum(total_rows - row_count), 0) as line_count
    from {{ ref("fct_quality_days") }}
    where rule = 'line_is_without_household'
    {%- endif %}
),

sessions as (
    select
        {% if all_rows_are_tested() -%}
        {{ sum_money("sales_value") }} as sales_value,
        {% endif -%}
        coalesce(sum(line_count), 0) as line_count
    from {{ ref("fct_sessions") }}
)

select
    lines.line_count,
    sessions.line_count as session_line_count
from lines
cross join sessions
where
    lines.line_count != sessions.line_count
    {%- if all_rows_are_tested() %}
    or abs(lines.sales_value - sessions.sales_value) >= 0.005
    {%- endif %}
