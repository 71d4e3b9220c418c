-- No line is lost or multiplied on the way from the events to the mart.
{# Dagster shows a test of several models as the check of the one that it names here. #}
{{ config(meta={"dagster": {"ref": {"name": "fct_order_lines"}}}) }}

with

staged as (
    select count(*) as line_count
    from {{ ref("stg_events__purchase_lines") }}
),

lines as (
    select count(*) as line_count
    from {{ ref("fct_order_lines") }}
)

select
    staged.line_count as staged_line_count,
    lines.line_count
from staged
cross join lines
where staged.line_count != lines.line_count
