{{
    config(
        materialized="incremental",
        incremental_strategy="replace",
        incremental_predicates=["target.order_id = fresh.order_id"],
        event_time="order_date",
        tags=["daily"]
    )
}}

with

-- Read several times: DuckDB would copy all rows of it into memory first.
lines as not materialized (
    select * from {{ ref("fct_order_lines") }}
),

{% if is_incremental() -%}
touched_lines as (
    select
        order_id,
        order_date
    from lines
    where loaded_at > {{ watermark() }}
    union all
    select
        order_id,
        order_date
    from lines
    where product_changed_at > {{ watermark("product_changed_at") }}
    {%- if days_are_asked() %}
    union all
    select
        order_id,
        order_date
    from lines
    where {{ is_asked_day("order_date") }}
    union all
    select
        order_id,
        order_date
    from {{ this }}
    where {{ is_asked_day("order_date") }}
    {%- endif %}
),

touched_orders as (
    select distinct order_id from touched_lines
),

-- What came before of an order lies between the days of its first and its last line: other days are not read.
held_orders as (
    select
        ordered_at,
        last_ordered_at
    from {{ this }}
    where order_id in (select touched_orders.order_id from touched_orders)
),

held_days as (
    select distinct
        {{ business_date("ordered_at") }} as first_date,
        {{ business_date("last_ordered_at") }} as last_date
    from held_orders
),

touched_days as (
    select order_date from touched_lines
    union
    select cast(unnest(generate_series(first_date, last_date, interval 1 day)) as date) as order_date
    from held_days
),

{% endif -%}
whole_orders as (
    select *
    from lines
    {%- if is_incremental() %}
    where
        order_date in (select touched_days.order_date from touched_days)
        and order_id in (select touched_orders.order_id from touched_orders)
    {%- endif %}
)

select
    order_id,
    -- An order has one household and one store; where a sender says otherwise, its first line decides.
    arg_min(household_id, (ordered_at, event_id)) as household_id,
    arg_min(store_id, (ordered_at, event_id)) as store_id,
    min(ordered_at) as ordered_at,
    max(ordered_at) as last_ordered_at,
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
    ) as flagged_line_count,
    max(loaded_at) as loaded_at,
    max(product_changed_at) as product_changed_at
from whole_orders
group by order_id
