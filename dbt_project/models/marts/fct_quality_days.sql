{{
    config(
        materialized="incremental",
        incremental_strategy="replace",
        incremental_predicates=["target.order_date = fresh.order_date"],
        event_time="order_date",
        tags=["daily"]
    )
}}
{%- set rules = {
    "line_is_without_units": "is_without_units",
    "line_is_without_sales": "is_without_sales",
    "line_is_sale_without_units": "is_sale_without_units",
    "line_is_giveaway": "is_giveaway",
    "line_is_bulk_quantity": "is_bulk_quantity",
    "line_is_of_unknown_product": "is_product_unknown",
    "line_is_without_household": "household_id is null",
} %}

with

lines as (
    select * from {{ ref("fct_order_lines") }}
),

days as (
    select
        order_date,
        {%- for rule, condition in rules.items() %}
        count(*) filter (where {{ condition }}) as {{ rule }},
        {%- endfor %}
        count(*) as total_rows,
        max(loaded_at) as loaded_at,
        max(product_changed_at) as product_changed_at
    from lines
    {%- if is_incremental() %}
    where order_date in ({{ touched_days(ref("fct_order_lines")) }})
    {%- endif %}
    group by order_date
)

{% for rule in rules -%}
select
    order_date,
    '{{ rule }}' as rule,
    {{ rule }} as row_count,
    total_rows,
    loaded_at,
    product_changed_at
from days
{{ "union all" if not loop.last }}
{% endfor %}
