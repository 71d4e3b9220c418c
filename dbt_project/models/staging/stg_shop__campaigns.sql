select
    campaign_id,
    campaign_type,
    start_date,
    end_date
from {{ source("raw", "campaign_descriptions") }}
