select
    order_id,
    -- An order has one household and one store; where a sender says otherwise, its first line decides.
    arg_min(household_id, (ordered_at, event_id)) as household_id,
    arg_min(store_id, (ordered_at, event_id)) as store_id,
    min(ordered_at) as ordered_at,
    min(order_date) as order_date,
    count(*) as line_count,
    count(distinct product_id) as product_count,
    cast(sum(quantity) as bigint) as units,
    {{ sum_money("sales_value") }} as sales_value,
    {{ sum_money("retail_disc") }} as retail_disc,
    {{ sum_money("coupon_disc") }} as coupon_disc,
    {{ sum_money("coupon_match_disc") }} as coupon_match_disc,
    count(*) filter (
        where is_without_units or is_without_sales or is_bulk_quantity or is_product_unknown
    ) as flagged_line_count
from {{ ref("fct_order_lines") }}
group by order_id
