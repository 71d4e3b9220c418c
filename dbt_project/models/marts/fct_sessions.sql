with

sessions as (
    select
        household_id,
        min(ordered_at) as started_at,
        max(ordered_at) as ended_at,
        count(distinct order_id) as order_count,
        cast(sum(line_count) as bigint) as line_count,
        {{ sum_money("sales_value") }} as sales_value,
        -- Named by its start: a late event would change the number of every session after it.
        household_id || '-' || epoch_us(min(ordered_at)) as session_id
    from {{ ref("int_order_moments__sessionized") }}
    group by household_id, session_number
)

select
    session_id,
    household_id,
    started_at,
    ended_at,
    order_count,
    line_count,
    sales_value
from sessions
