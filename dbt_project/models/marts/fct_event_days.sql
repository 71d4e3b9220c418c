{{
    config(
        materialized="incremental",
        incremental_strategy="replace",
        incremental_predicates=[
            "target.event_date = fresh.event_date",
            "target.event_name = fresh.event_name",
            "target.source_service = fresh.source_service",
        ],
        event_time="event_date",
        tags=["daily"]
    )
}}

{#
    New events are added to what is held of their days: counts, earliest and latest need no second look at the events that
    were counted before. Days that were asked for are counted anew.
#}
{%- set recounts = is_incremental() and days_are_asked() %}

with

events as (
    select
        {{ business_date("occurred_at") }} as event_date,
        event_name,
        source_service,
        occurred_at,
        received_at,
        loaded_at
    from {{ ref("stg_events__events") }}
    {%- if is_incremental() %}
    where loaded_at > {{ watermark() }}
    {%- endif %}
    {%- if recounts %}
    union all
    select
        {{ business_date("occurred_at") }} as event_date,
        event_name,
        source_service,
        occurred_at,
        received_at,
        loaded_at
    from {{ ref("stg_events__events") }}
    where loaded_at <= {{ watermark() }} and {{ is_in_asked_days("occurred_at") }}
    {%- endif %}
),

counted as (
    select
        event_date,
        event_name,
        source_service,
        count(*) as event_count,
        min(occurred_at) as first_occurred_at,
        max(received_at) as last_received_at,
        max(loaded_at) as loaded_at
    from events
    group by event_date, event_name, source_service
)

{%- if is_incremental() %},

held as (
    select *
    from {{ this }}
    where
        (event_date, event_name, source_service) in (
            select
                counted.event_date,
                counted.event_name,
                counted.source_service
            from counted
        )
        {%- if recounts %}
        and not {{ is_asked_day("event_date") }}
        {%- endif %}
),

combined as (
    select
        event_date,
        event_name,
        source_service,
        event_count,
        first_occurred_at,
        last_received_at,
        loaded_at
    from counted
    union all
    select
        event_date,
        event_name,
        source_service,
        event_count,
        first_occurred_at,
        last_received_at,
        loaded_at
    from held
)

select
    event_date,
    event_name,
    source_service,
    cast(sum(event_count) as bigint) as event_count,
    min(first_occurred_at) as first_occurred_at,
    max(last_received_at) as last_received_at,
    max(loaded_at) as loaded_at
from combined
group by event_date, event_name, source_service
{%- else %}

select * from counted
{%- endif %}
