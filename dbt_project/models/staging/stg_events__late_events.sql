select
    late_id,
    event_id,
    event_name,
    user_id,
    occurred_at,
    received_at,
    watermark,
    loaded_at,
    unnest(cast(cast(windows as json) as varchar[])) as window_name,
    date_diff('millisecond', occurred_at, watermark) as behind_watermark_ms
from {{ source("raw", "late_events") }}
