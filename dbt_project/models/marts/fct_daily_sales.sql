{{
    config(
        materialized="incremental",
        incremental_strategy="replace",
        incremental_predicates=["target.order_date = fresh.order_date"],
        event_time="order_date",
        tags=["daily"]
    )
}}

with

lines as (
    select * from {{ ref("fct_order_lines") }}
)

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
    {{ sum_money("coupon_match_disc") }} as coupon_match_disc,
    max(loaded_at) as loaded_at,
    max(product_changed_at) as product_changed_at
from lines
{%- if is_incremental() %}
where order_date in ({{ touched_days(ref("fct_order_lines")) }})
{%- endif %}
group by order_date, department, brand
