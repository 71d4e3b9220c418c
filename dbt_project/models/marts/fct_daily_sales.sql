select
    order_date,
    department,
    brand,
    count(*) as line_count,
    count(*) filter (
        where is_without_units or is_without_sales or is_bulk_quantity or is_product_unknown
    ) as flagged_line_count,
    cast(sum(quantity) as bigint) as units,
    {{ sum_money("sales_value") }} as sales_value,
    {{ sum_money("retail_disc") }} as retail_disc,
    {{ sum_money("coupon_disc") }} as coupon_disc,
    {{ sum_money("coupon_match_disc") }} as coupon_match_disc
from {{ ref("fct_order_lines") }}
group by order_date, department, brand
