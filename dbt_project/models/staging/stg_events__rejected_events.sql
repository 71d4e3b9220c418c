{# A table: bodies, of up to 100 kB each, are read for the event's name once. #}
{{ config(materialized="incremental", incremental_strategy="append") }}

select
    rejection_id,
    event_id,
    -- The body itself stays in raw: it may hold secrets.
    case when json_valid(body) then left(json_extract_string(body, '$.event_name'), 128) end as event_name,
    origin,
    reason,
    {{ rejection_class("reason") }} as reason_class,
    rejected_at,
    correlation_id,
    loaded_at
from {{ source("raw", "rejected_events") }}
{%- if is_incremental() %}
where loaded_at > {{ watermark() }}
{%- endif %}
