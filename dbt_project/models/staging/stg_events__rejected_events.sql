select
    rejection_id,
    event_id,
    origin,
    reason,
    {{ rejection_class("reason") }} as reason_class,
    rejected_at,
    correlation_id
from {{ source("raw", "rejected_events") }}
