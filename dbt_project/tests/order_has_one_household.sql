-- A sender that gives one order to two households is wrong, but must not stop the warehouse.
{{ config(severity="warn") }}

select order_id
from {{ ref("fct_order_lines") }}
group by order_id
having min(household_id) != max(household_id)
