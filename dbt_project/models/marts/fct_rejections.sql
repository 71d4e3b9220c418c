{#
    The status is read off the events: a replay sends an event under the rejection's event id, with the rejection's own
    id in its correlation id. A rejection that a later one of the same event follows is superseded by it, so that each
    event has at most one that is open.
#}
with

rejections as (
    select
        *,
        row_number() over (partition by event_id order by rejected_at desc, rejection_id desc) = 1 as is_latest
    from {{ ref("stg_events__rejected_events") }}
),

accepted as (
    select
        event_id,
        correlation_id,
        received_at
    from {{ ref("stg_events__events") }}
)

select
    rejections.rejection_id,
    rejections.event_id,
    rejections.event_name,
    rejections.origin,
    rejections.reason,
    rejections.reason_class,
    rejections.rejected_at,
    rejections.correlation_id,
    accepted.received_at as accepted_at,
    case
        when accepted.correlation_id = 'replay:' || rejections.rejection_id then 'replayed'
        when accepted.event_id is not null or not rejections.is_latest then 'superseded'
        else 'open'
    end as status
from rejections
left join accepted on rejections.event_id = accepted.event_id
