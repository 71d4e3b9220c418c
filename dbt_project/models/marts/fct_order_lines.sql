{{
    config(
        materialized="incremental",
        incremental_strategy="replace",
        incremental_predicates=[
            "target.event_id = fresh.event_id",
            "target.order_date = fresh.order_date",
            "fresh.loaded_at <= (select loaded_at from marts.fct_order_lines order by loaded_at desc limit 1)",
        ],
        event_time="order_date",
        tags=["daily"]
    )
}}

{#
    Computed are the lines that are new, those whose product has changed, and those of days that were asked for. The three
    have no line in common, and only the latter two can stand in the table already.
#}
with

-- Read several times: DuckDB would copy all rows of it into memory first.
staged as not materialized (
    select * from {{ ref("stg_events__purchase_lines") }}
),

products as (
    select * from {{ ref("int_products__current") }}
),

{% if is_incremental() -%}
-- Of the products that changed, those that have lines: a new product has none, and the lines are not read for it.
changed_products as (
    select distinct product_id
    from {{ this }}
    where
        product_id in (
            select products.product_id
            from products
            where products.changed_at > {{ watermark("product_changed_at") }}
        )
),

new_lines as (
    select *
    from staged
    where loaded_at > {{ watermark() }}
),

renewed_lines as (
    select *
    from staged
    where
        loaded_at <= {{ watermark() }}
        and product_id in (select changed_products.product_id from changed_products)
),

{% if days_are_asked() -%}
asked_lines as (
    select *
    from staged
    where
        loaded_at <= {{ watermark() }}
        and {{ is_in_asked_days("ordered_at") }}
        and product_id not in (select changed_products.product_id from changed_products)
),

{% endif -%}
lines as (
    select * from new_lines
    union all
    select * from renewed_lines
    {%- if days_are_asked() %}
    union all
    select * from asked_lines
    {%- endif %}
)
{%- else -%}
lines as (
    select * from staged
)
{%- endif %}

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
    products.is_in_catalogue is not true as is_product_unknown,
    lines.loaded_at,
    products.changed_at as product_changed_at
from lines
left join products on lines.product_id = products.product_id
