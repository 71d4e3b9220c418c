select
    event_id,
    event_type,
    event_name,
    user_id,
    session_id,
    occurred_at,
    received_at,
    source_service,
    schema_version,
    correlation_id,
    traceparent,
    payload,
    loaded_at
from {{ source("raw", "events") }}
