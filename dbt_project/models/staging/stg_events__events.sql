{# An event that is held in quarantine has not come yet; when it is released its loaded_at says that it came then. #}
select
    events.event_id,
    events.event_type,
    events.event_name,
    events.user_id,
    events.session_id,
    events.occurred_at,
    events.received_at,
    events.source_service,
    events.schema_version,
    events.correlation_id,
    events.traceparent,
    events.payload,
    events.loaded_at
from {{ source("raw", "events") }} as events
where
    not exists (
        select 1
        from {{ source("quality", "quarantined_rows") }} as quarantined
        where
            quarantined.table_name = 'raw.events'
            and quarantined.row_key = events.event_id
            and quarantined.released_at is null
    )
