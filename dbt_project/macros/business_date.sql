{# The zone whose midnight ends a business day, as an SQL literal. #}
{% macro business_timezone() -%}
    {%- set zone = var("business_timezone", env_var("ANALYTICS_WAREHOUSE__BUSINESS_TIMEZONE", "America/New_York")) -%}
    '{{ zone | replace("'", "''") }}'
{%- endmacro %}

{# The business day on which an instant falls. #}
{% macro business_date(instant) -%}
    cast(timezone({{ business_timezone() }}, {{ instant }}) as date)
{%- endmacro %}
