with

lines as (
    select * from {{ ref("stg_events__purchase_lines") }}
),

products as (
    select * from {{ ref("stg_shop__products") }}
)

select
    lines.event_id,
    lines.order_id,
    lines.household_id,
    lines.product_id,
    lines.store_id,
    lines.ordered_at,
    {{ business_date("lines.ordered_at") }} as order_date,
    products.department,
    products.brand,
    lines.quantity,
    lines.sales_value,
    lines.retail_disc,
    lines.coupon_disc,
    lines.coupon_match_disc,
    lines.quantity <= 0 as is_without_units,
    lines.sales_value <= 0 as is_without_sales,
    lines.quantity <= 0 and lines.sales_value > 0 as is_sale_without_units,
    lines.quantity > 0 and lines.sales_value <= 0 as is_giveaway,
    lines.quantity > 1000 as is_bulk_quantity,
    products.product_id is null as is_product_unknown
from lines
left join products on lines.product_id = products.product_id
