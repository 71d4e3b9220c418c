select household_id from {{ ref("stg_shop__demographics") }}
union
select household_id from {{ ref("stg_shop__campaign_targets") }}
union
select household_id from {{ ref("stg_shop__coupon_redemptions") }}
union
select household_id from {{ ref("stg_events__purchase_lines") }}
where household_id is not null
