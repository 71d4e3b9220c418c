{{ config(materialized="incremental", incremental_strategy="replace_sessions") }}

{#
    A new purchase changes only the sessions of its household that lie less than the gap away from it: it may lengthen
    one, join two or begin one. Their purchases and the new ones are put into sessions again; all others of the household
    are a gap or more away from each of these, before and after.
#}
{%- set gap = "interval '" ~ var("session_gap_minutes") ~ " minutes'" %}

with

-- Read several times: DuckDB would copy all rows of it into memory first.
lines as not materialized (
    select
        household_id,
        order_id,
        ordered_at,
        order_date,
        sales_value,
        loaded_at
    from {{ ref("fct_order_lines") }}
    where household_id is not null
),

{% if is_incremental() -%}
new_moments as (
    select distinct
        household_id,
        ordered_at,
        order_date
    from lines
    where loaded_at > {{ watermark() }}
),

-- Sessions are found by household and day, with a day to spare on both sides for midnight and the gap. Only a session
-- of nearly a day or more can reach a moment from farther away; those few are compared by household alone.
near_days as (
    select
        household_id,
        ordered_at,
        cast(unnest(generate_series(order_date - 1, order_date + 1, interval 1 day)) as date) as session_date
    from new_moments
),

touched_sessions as (
    select
        held.household_id,
        held.started_at,
        held.ended_at
    from {{ this }} as held
    inner join near_days
        on
            held.household_id = near_days.household_id
            and held.session_date = near_days.session_date
            and near_days.ordered_at - held.ended_at < {{ gap }}
            and held.started_at - near_days.ordered_at < {{ gap }}
    union
    select
        held.household_id,
        held.started_at,
        held.ended_at
    from {{ this }} as held
    inner join new_moments
        on
            held.household_id = new_moments.household_id
            and new_moments.ordered_at - held.ended_at < {{ gap }}
            and held.started_at - new_moments.ordered_at < {{ gap }}
    where held.ended_at - held.started_at >= interval 22 hours - {{ gap }}
),

spans as (
    select
        household_id,
        started_at,
        ended_at
    from touched_sessions
    union
    select
        household_id,
        ordered_at as started_at,
        ordered_at as ended_at
    from new_moments
),

span_days as (
    select
        *,
        cast(unnest(generate_series(
            cast({{ business_date("started_at") }} as timestamp),
            cast({{ business_date("ended_at") }} as timestamp),
            interval 1 day
        )) as date) as order_date
    from spans
),

touched_lines as (
    select lines.*
    from lines
    semi join span_days
        on
            lines.household_id = span_days.household_id
            and lines.order_date = span_days.order_date
            and lines.ordered_at between span_days.started_at and span_days.ended_at
),
{%- else -%}
touched_lines as (
    select * from lines
),
{%- endif %}

-- Lines of one order share their moment nearly always, so that the window runs over a tenth of the rows; an order whose
-- lines were bought at several moments has a row for each, and may then reach into two sessions.
moments as (
    select
        household_id,
        order_id,
        ordered_at,
        order_date,
        count(*) as line_count,
        {{ sum_money("sales_value") }} as sales_value,
        max(loaded_at) as loaded_at
    from touched_lines
    group by household_id, order_id, ordered_at, order_date
),

with_previous as (
    select
        *,
        lag(ordered_at) over (partition by household_id order by ordered_at, order_id) as previous_ordered_at
    from moments
),

numbered as (
    select
        *,
        -- A session covers [its last purchase, that + gap): a purchase exactly one gap later opens the next one.
        count(*) filter (
            where previous_ordered_at is null or ordered_at - previous_ordered_at >= {{ gap }}
        ) over (
            partition by household_id
            order by ordered_at, order_id
            rows between unbounded preceding and current row
        ) as session_number
    from with_previous
)

select
    -- Named by its start: the same after a rebuild, whatever came before it.
    household_id || '-' || epoch_us(min(ordered_at)) as session_id,
    household_id,
    min(ordered_at) as started_at,
    max(ordered_at) as ended_at,
    min(order_date) as session_date,
    count(distinct order_id) as order_count,
    cast(sum(line_count) as bigint) as line_count,
    {{ sum_money("sales_value") }} as sales_value,
    max(loaded_at) as loaded_at
from numbered
group by household_id, session_number
