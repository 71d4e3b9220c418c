-- No session starts within the gap after the household's session before it.
{%- set untested = untested_rows(ref("fct_sessions")) %}

with

untested as (
    select
        household_id,
        started_at,
        ended_at
    from {{ ref("fct_sessions") }}
    {%- if untested %}
    where {{ untested }}
    {%- endif %}
),

households as (
    select
        household_id,
        min(started_at) - interval 1 day as first_at,
        max(ended_at) + interval 1 day as last_at
    from untested
    group by household_id
),

first_household as (
    select min(first_at) as first_at from households
),

near_sessions as (
    select
        sessions.session_id,
        sessions.started_at,
        lag(sessions.ended_at) over (
            partition by sessions.household_id order by sessions.started_at
        ) as previous_ended_at
    from {{ ref("fct_sessions") }} as sessions
    inner join households
        on
            sessions.household_id = households.household_id
            and sessions.ended_at between households.first_at and households.last_at
    where sessions.ended_at >= (select first_household.first_at from first_household)
)

select *
from near_sessions
where started_at - previous_ended_at < interval '{{ var("session_gap_minutes") }} minutes'
