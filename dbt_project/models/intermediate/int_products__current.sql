with

versions as (
    select * from {{ ref("snap_shop__products") }}
),

latest as (
    select
        *,
        dbt_valid_to is null as is_in_catalogue,
        row_number() over (partition by product_id order by dbt_valid_from desc) = 1 as is_latest
    from versions
)

select
    product_id,
    is_in_catalogue,
    -- The snapshot's times are UTC without saying so.
    timezone('UTC', coalesce(dbt_valid_to, dbt_valid_from)) as changed_at,
    case when is_in_catalogue then manufacturer_id end as manufacturer_id,
    case when is_in_catalogue then department end as department,
    case when is_in_catalogue then brand end as brand,
    case when is_in_catalogue then product_category end as product_category,
    case when is_in_catalogue then product_type end as product_type,
    case when is_in_catalogue then package_size end as package_size
from latest
where is_latest
