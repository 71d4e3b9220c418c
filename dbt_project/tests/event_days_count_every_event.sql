-- The days are what all raw events give that are not in quarantine: none lost, multiplied or left from before. In a
-- full test each day is counted again; else the sum must be the table's rows, which DuckDB knows without reading them.
{# Dagster shows a test of several models as the check of the one that it names here. #}
{{ config(meta={"dagster": {"ref": {"name": "fct_event_days"}}}) }}

{%- if all_rows_are_tested() %}

with

days as (
    select
        event_date,
        event_name,
        source_service,
        event_count,
        first_occurred_at,
        last_received_at
    from {{ ref("fct_event_days") }}
),

recounted as (
    select
        {{ business_date("occurred_at") }} as event_date,
        event_name,
        source_service,
        count(*) as event_count,
        min(occurred_at) as first_occurred_at,
        max(received_at) as last_received_at
    from {{ ref("stg_events__events") }}
    group by event_date, event_name, source_service
),

missing as (
    select * from recounted
    except
    select * from days
),

surplus as (
    select * from days
    except
    select * from recounted
)

select
    event_date,
    event_name,
    source_service
from missing
union all
select
    event_date,
    event_name,
    source_service
from surplus
{%- else %}

with

days as (
    select coalesce(sum(event_count), 0) as event_count from {{ ref("fct_event_days") }}
),

quarantined as (
    select count(distinct row_key) as event_count
    from {{ source("quality", "quarantined_rows") }}
    where table_name = 'raw.events' and released_at is null
),

events as (
    select count(*) as event_count from {{ source("raw", "events") }}
)

select
    days.event_count as counted,
    events.event_count - quarantined.event_count as loaded
from days
cross join events
cross join quarantined
where days.event_count != events.event_count - quarantined.event_count
{%- endif %}
