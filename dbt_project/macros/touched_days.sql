{#
    The business days of which this daily model has to be computed again, as a query on order lines: those that newly
    loaded lines and lines of changed products belong to, and those that were asked for.
#}
{% macro touched_days(lines) -%}
    select order_date from {{ lines }} where loaded_at > {{ watermark() }}
    union
    select order_date from {{ lines }} where product_changed_at > {{ watermark("product_changed_at") }}
    {%- if days_are_asked() %}
    union
    select order_date from {{ lines }} where {{ is_asked_day("order_date") }}
    {%- endif %}
{%- endmacro %}
