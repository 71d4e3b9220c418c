{{
    config(
        materialized="incremental",
        incremental_strategy="replace",
        incremental_predicates=["target.rejection_id = fresh.rejection_id"]
    )
}}

{#
    The status is read off the events: a replay sends an event under the rejection's event id, with the rejection's own
    id in its correlation id. A rejection that a later one of the same event follows is superseded by it, so that each
    event has at most one that is open.

    Two things change a status: a new rejection, and a new event of an id that was rejected before. The newest
    rejection is written in every build, for its `compared_to` says how far the events have been looked at.
#}
with

rejections as (
    select * from {{ ref("stg_events__rejected_events") }}
),

-- Read several times: DuckDB would copy all rows of it into memory first.
events as not materialized (
    select
        event_id,
        correlation_id,
        received_at,
        loaded_at
    from {{ ref("stg_events__events") }}
),

{% if is_incremental() -%}
newly_rejected as (
    select distinct event_id
    from rejections
    where loaded_at > {{ watermark() }}
),

accepted as (
    select *
    from events
    where event_id in (select newly_rejected.event_id from newly_rejected)
    union
    select *
    from events
    where
        loaded_at > {{ watermark("compared_to") }}
        and event_id in (select held.event_id from {{ this }} as held)
),

touched_events as (
    select event_id from newly_rejected
    union
    select event_id from accepted
),

touched_rejections as (
    select *
    from rejections
    where event_id in (select touched_events.event_id from touched_events)
),
{%- else -%}
accepted as (
    select * from events
),

touched_rejections as (
    select * from rejections
),
{%- endif %}

-- The first in descending order is found without reading all, other than a maximum.
newest_event as (
    select loaded_at
    from events
    order by loaded_at desc
    limit 1
),

compared as (
    select max(loaded_at) as compared_to from newest_event
),

ranked as (
    select
        *,
        row_number() over (partition by event_id order by rejected_at desc, rejection_id desc) = 1 as is_latest
    from touched_rejections
),

judged as (
    select
        ranked.rejection_id,
        ranked.event_id,
        ranked.event_name,
        ranked.origin,
        ranked.reason,
        ranked.reason_class,
        ranked.rejected_at,
        ranked.correlation_id,
        ranked.loaded_at,
        accepted.received_at as accepted_at,
        case
            when accepted.correlation_id = 'replay:' || ranked.rejection_id then 'replayed'
            when accepted.event_id is not null or not ranked.is_latest then 'superseded'
            else 'open'
        end as status
    from ranked
    left join accepted on ranked.event_id = accepted.event_id
)

{%- if is_incremental() %},

newest as (
    select *
    from {{ this }}
    where rejection_id not in (select judged.rejection_id from judged)
    order by loaded_at desc, rejection_id desc
    limit 1
),

written as (
    select
        rejection_id,
        event_id,
        event_name,
        origin,
        reason,
        reason_class,
        rejected_at,
        correlation_id,
        accepted_at,
        status,
        loaded_at
    from judged
    union all
    select
        rejection_id,
        event_id,
        event_name,
        origin,
        reason,
        reason_class,
        rejected_at,
        correlation_id,
        accepted_at,
        status,
        loaded_at
    from newest
)
{%- else %},

written as (
    select * from judged
)
{%- endif %}

select
    written.rejection_id,
    written.event_id,
    written.event_name,
    written.origin,
    written.reason,
    written.reason_class,
    written.rejected_at,
    written.correlation_id,
    written.accepted_at,
    written.status,
    written.loaded_at,
    coalesce(compared.compared_to, timestamptz '-infinity') as compared_to
from written
cross join compared
