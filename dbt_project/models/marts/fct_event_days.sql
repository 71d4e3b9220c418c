{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key="event_date",
        on_schema_change="fail"
    )
}}

{#
    Only the days that new events belong to are computed again. Raw events are only ever added, so a day is what it was
    when its number of events is; the two times find a raw table that was loaded anew. A test compares all days with a
    full computation: after a change of this model run it with --full-refresh.
#}
with

events as (
    select
        cast(timezone('UTC', occurred_at) as date) as event_date,
        event_name,
        source_service,
        occurred_at,
        received_at
    from {{ ref("stg_events__events") }}
),

{% if is_incremental() -%}
days as (
    select
        event_date,
        count(*) as event_count,
        min(occurred_at) as first_occurred_at,
        max(received_at) as last_received_at
    from events
    group by event_date
),

held_days as (
    select
        event_date,
        sum(event_count) as event_count,
        min(first_occurred_at) as first_occurred_at,
        max(last_received_at) as last_received_at
    from {{ this }}
    group by event_date
),

touched_days as (
    select event_date from days
    except
    select days.event_date
    from days
    inner join held_days
        on
            days.event_date = held_days.event_date
            and days.event_count = held_days.event_count
            and days.first_occurred_at = held_days.first_occurred_at
            and days.last_received_at = held_days.last_received_at
),
{%- endif %}

touched as (
    select events.*
    from events
    {% if is_incremental() -%}
    inner join touched_days on events.event_date = touched_days.event_date
    {%- endif %}
)

select
    event_date,
    event_name,
    source_service,
    count(*) as event_count,
    min(occurred_at) as first_occurred_at,
    max(received_at) as last_received_at
from touched
group by event_date, event_name, source_service
