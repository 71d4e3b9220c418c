{# The aggregates' JSON is read in one pass; a definition without a sum leaves its column null. #}
with

results as (
    select
        *,
        {{ json_fields("aggregates", {"sales": "DOUBLE", "units": "DOUBLE"}) }} as parsed
    from {{ source("raw", "window_results") }}
)

select
    result_id,
    window_name,
    version,
    key,
    window_start,
    window_end,
    event_count,
    aggregates,
    watermark,
    emitted_at,
    loaded_at,
    parsed['sales'] as sales,
    parsed['units'] as units
from results
