select
    rejection_id,
    event_id,
    -- The body itself stays in raw: it may hold secrets.
    case when json_valid(body) then left(json_extract_string(body, '$.event_name'), 128) end as event_name,
    origin,
    reason,
    {{ rejection_class("reason") }} as reason_class,
    rejected_at,
    correlation_id
from {{ source("raw", "rejected_events") }}
