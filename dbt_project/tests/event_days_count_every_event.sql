-- The days' events are the raw events, none lost or multiplied.
{# Dagster shows a test of several models as the check of the one that it names here. #}
{{ config(meta={"dagster": {"ref": {"name": "fct_event_days"}}}) }}

with

days as (
    select coalesce(sum(event_count), 0) as event_count
    from {{ ref("fct_event_days") }}
),

events as (
    select count(*) as event_count
    from {{ source("raw", "events") }}
)

select
    days.event_count as day_event_count,
    events.event_count
from days
cross join events
where days.event_count != events.event_count
