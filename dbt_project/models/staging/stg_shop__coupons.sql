select
    coupon_upc,
    product_id,
    campaign_id,
    count(*) as source_row_count
from {{ source("raw", "coupons") }}
group by coupon_upc, product_id, campaign_id
