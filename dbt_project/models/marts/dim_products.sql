select
    product_id,
    manufacturer_id,
    department,
    brand,
    product_category,
    product_type,
    package_size
from {{ ref("int_products__current") }}
where is_in_catalogue
