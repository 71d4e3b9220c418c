-- A sender that gives one order to two households is wrong, but must not stop the warehouse.
{# Dagster shows a test of several models as the check of the one that it names here. #}
{{ config(severity="warn", meta={"dagster": {"ref": {"name": "fct_orders"}}}) }}
{%- set untested = untested_rows(ref("fct_orders")) %}

with

tested_orders as (
    select
        order_id,
        order_date
    from {{ ref("fct_orders") }}
    {%- if untested %}
    where {{ untested }}
    {%- endif %}
)

select order_id
from {{ ref("fct_order_lines") }}
where
    order_id in (select tested_orders.order_id from tested_orders)
    and order_date >= (select min(tested_orders.order_date) from tested_orders)
group by order_id
having min(household_id) != max(household_id)
