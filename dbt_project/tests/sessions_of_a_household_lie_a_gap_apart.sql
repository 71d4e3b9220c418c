-- No session starts within the gap after the household's session before it.
with

sessions as (
    select
        session_id,
        started_at,
        lag(ended_at) over (partition by household_id order by started_at) as previous_ended_at
    from {{ ref("fct_sessions") }}
)

select *
from sessions
where started_at - previous_ended_at < interval '{{ var("session_gap_minutes") }} minutes'
