-- The days are what all raw events give, none lost, multiplied or left from before.
{# Dagster shows a test of several models as the check of the one that it names here. #}
{{ config(meta={"dagster": {"ref": {"name": "fct_event_days"}}}) }}

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

recomputed as (
    select
        cast(timezone('UTC', occurred_at) as date) as event_date,
        event_name,
        source_service,
        count(*) as event_count,
        min(occurred_at) as first_occurred_at,
        max(received_at) as last_received_at
    from {{ source("raw", "events") }}
    group by event_date, event_name, source_service
),

missing as (
    select * from recomputed
    except
    select * from days
),

surplus as (
    select * from days
    except
    select * from recomputed
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
