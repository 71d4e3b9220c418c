-- What a line says of its product is what the catalogue says now: of new lines, in a full test of all.
{# Dagster shows a test of several models as the check of the one that it names here. #}
{{ config(meta={"dagster": {"ref": {"name": "fct_order_lines"}}}) }}
{%- set untested = untested_rows(ref("fct_order_lines")) %}

select order_lines.event_id
from {{ ref("fct_order_lines") }} as order_lines
left join {{ ref("int_products__current") }} as products on order_lines.product_id = products.product_id
where
    {{ untested or "true" }}
    and (
        order_lines.department is distinct from products.department
        or order_lines.brand is distinct from products.brand
        or order_lines.is_product_unknown is distinct from (products.is_in_catalogue is not true)
    )
