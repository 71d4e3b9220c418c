{{ config(materialized="table") }}

{#
    Lines of one order share their moment nearly always, so that the window runs over a tenth of the rows; an order
    whose lines were bought at several moments has a row for each, and may then reach into two sessions.
#}
with

moments as (
    select
        household_id,
        order_id,
        ordered_at,
        count(*) as line_count,
        {{ sum_money("sales_value") }} as sales_value
    from {{ ref("stg_events__purchase_lines") }}
    where household_id is not null
    group by household_id, order_id, ordered_at
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
            where previous_ordered_at is null
            or ordered_at - previous_ordered_at >= interval '{{ var("session_gap_minutes") }} minutes'
        ) over (
            partition by household_id
            order by ordered_at, order_id
            rows between unbounded preceding and current row
        ) as session_number
    from with_previous
)

select
    household_id,
    order_id,
    ordered_at,
    session_number,
    line_count,
    sales_value
from numbered
