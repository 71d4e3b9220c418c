select
    cast(timezone('UTC', occurred_at) as date) as event_date,
    event_name,
    source_service,
    count(*) as event_count,
    min(occurred_at) as first_occurred_at,
    max(received_at) as last_received_at
from {{ ref("stg_events__events") }}
group by event_date, event_name, source_service
