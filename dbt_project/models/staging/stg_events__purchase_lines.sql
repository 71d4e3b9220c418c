{# A table: the payload's JSON is parsed once, when its event is new, and everything downstream reads typed columns. #}
{{ config(materialized="incremental", incremental_strategy="append") }}

with

purchase_events as (
    select
        event_id,
        user_id,
        occurred_at,
        loaded_at,
        {{
            json_fields(
                "payload",
                {
                    "basket_id": "VARCHAR",
                    "product_id": "VARCHAR",
                    "store_id": "VARCHAR",
                    "quantity": "INTEGER",
                    "sales_value": "DOUBLE",
                    "retail_disc": "DOUBLE",
                    "coupon_disc": "DOUBLE",
                    "coupon_match_disc": "DOUBLE",
                },
            )
        }} as purchase
    from {{ ref("stg_events__events") }}
    where
        event_name = 'purchase_line'
        {%- if is_incremental() %}
        and loaded_at > {{ watermark() }}
        {%- endif %}
)

select
    event_id,
    user_id as household_id,
    occurred_at as ordered_at,
    loaded_at,
    purchase['basket_id'] as order_id,
    purchase['product_id'] as product_id,
    purchase['store_id'] as store_id,
    purchase['quantity'] as quantity,
    purchase['sales_value'] as sales_value,
    purchase['retail_disc'] as retail_disc,
    purchase['coupon_disc'] as coupon_disc,
    purchase['coupon_match_disc'] as coupon_match_disc
from purchase_events
