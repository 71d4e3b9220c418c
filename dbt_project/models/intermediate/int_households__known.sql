select household_id from {{ ref("stg_shop__demographics") }}
union
select household_id from {{ ref("stg_shop__campaign_targets") }}
union
select household_id from {{ ref("stg_shop__coupon_redemptions") }}
union
select household_id from {{ ref("int_households__buying") }}
