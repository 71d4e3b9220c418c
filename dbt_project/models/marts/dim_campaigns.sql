with

campaigns as (
    select * from {{ ref("stg_shop__campaigns") }}
),

targets as (
    select
        campaign_id,
        count(*) as targeted_household_count
    from {{ ref("stg_shop__campaign_targets") }}
    group by campaign_id
),

coupons as (
    select
        campaign_id,
        count(distinct coupon_upc) as coupon_count
    from {{ ref("stg_shop__coupons") }}
    group by campaign_id
),

redemptions as (
    select
        campaign_id,
        count(*) as redemption_count,
        count(distinct household_id) as redeeming_household_count
    from {{ ref("stg_shop__coupon_redemptions") }}
    group by campaign_id
)

select
    campaigns.campaign_id,
    campaigns.campaign_type,
    campaigns.start_date,
    campaigns.end_date,
    coalesce(targets.targeted_household_count, 0) as targeted_household_count,
    coalesce(coupons.coupon_count, 0) as coupon_count,
    coalesce(redemptions.redemption_count, 0) as redemption_count,
    coalesce(redemptions.redeeming_household_count, 0) as redeeming_household_count
from campaigns
left join targets on campaigns.campaign_id = targets.campaign_id
left join coupons on campaigns.campaign_id = coupons.campaign_id
left join redemptions on campaigns.campaign_id = redemptions.campaign_id
