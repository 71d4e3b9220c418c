{{ config(materialized="incremental", incremental_strategy="append") }}

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
    emitted_at,
    loaded_at
from {{ ref("stg_events__window_results") }}
{%- if is_incremental() %}
where loaded_at > {{ watermark() }}
{%- endif %}
