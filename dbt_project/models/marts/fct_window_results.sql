select
    result_id,
    window_name,
    version,
    key,
    window_start,
    window_end,
    event_count,
    sales,
    units,
    aggregates,
    emitted_at
from {{ ref("stg_events__window_results") }}
