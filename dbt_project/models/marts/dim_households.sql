with

households as (
    select * from {{ ref("int_households__known") }}
),

demographics as (
    select * from {{ ref("snap_shop__demographics") }}
    where dbt_valid_to is null
),

orders as (
    select
        household_id,
        min(order_date) as first_order_date,
        max(order_date) as last_order_date,
        count(*) as order_count,
        {{ sum_money("sales_value") }} as sales_value
    from {{ ref("fct_orders") }}
    group by household_id
),

targets as (
    select
        household_id,
        count(*) as campaign_count
    from {{ ref("stg_shop__campaign_targets") }}
    group by household_id
),

redemptions as (
    select
        household_id,
        count(*) as coupon_redemption_count
    from {{ ref("stg_shop__coupon_redemptions") }}
    group by household_id
)

select
    households.household_id,
    demographics.age,
    demographics.income,
    demographics.home_ownership,
    demographics.marital_status,
    demographics.household_size,
    demographics.household_comp,
    demographics.kids_count,
    orders.first_order_date,
    orders.last_order_date,
    coalesce(orders.order_count, 0) as order_count,
    coalesce(orders.sales_value, 0) as sales_value,
    coalesce(targets.campaign_count, 0) as campaign_count,
    coalesce(redemptions.coupon_redemption_count, 0) as coupon_redemption_count
from households
left join demographics on households.household_id = demographics.household_id
left join orders on households.household_id = orders.household_id
left join targets on households.household_id = targets.household_id
left join redemptions on households.household_id = redemptions.household_id
