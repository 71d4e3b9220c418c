-- No line is lost or multiplied on the way from the events that were counted by day.
{# Dagster shows a test of several models as the check of the one that it names here. #}
{{ config(meta={"dagster": {"ref": {"name": "stg_events__purchase_lines"}}}) }}

with

staged as (
    select count(*) as line_count
    from {{ ref("stg_events__purchase_lines") }}
),

counted as (
    select coalesce(sum(event_count), 0) as event_count
    from {{ ref("fct_event_days") }}
    where event_name = 'purchase_line'
)

select
    staged.line_count,
    counted.event_count
from staged
cross join counted
where staged.line_count != counted.event_count
