{#
    A backfill names days by the variables first_day and last_day, both inclusive: the models with the tag `daily` compute
    them again, beside what newly loaded rows touch.
#}
{% macro days_are_asked() %}
    {% set first_day, last_day = var("first_day", none), var("last_day", none) %}
    {% if (first_day is none) != (last_day is none) %}
        {% do exceptions.raise_compiler_error("Give both first_day and last_day, as 2017-01-31, or neither of them") %}
    {% endif %}
    {{ return(first_day is not none) }}
{% endmacro %}

{# One of the two variables as a date. #}
{% macro asked_day(name) -%}
    cast('{{ var(name, "") | string | replace("'", "''") }}' as date)
{%- endmacro %}

{# Whether a column of business days lies in the asked ones. #}
{% macro is_asked_day(column) -%}
    {{ column }} between {{ asked_day("first_day") }} and {{ asked_day("last_day") }}
{%- endmacro %}

{# Whether an instant lies in the asked business days, as bounds of the column itself, which a scan can skip by. #}
{% macro is_in_asked_days(instant) -%}
    (
        {{ instant }} >= timezone({{ business_timezone() }}, cast({{ asked_day("first_day") }} as timestamp))
        and {{ instant }} < timezone({{ business_timezone() }}, cast({{ asked_day("last_day") }} + 1 as timestamp))
    )
{%- endmacro %}
