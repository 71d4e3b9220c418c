{# The names of the rules that a row breaks, as a list; each rule is a condition that finds the rows that break it. #}
{% macro broken_rules(rules) -%}
    list_filter(
        [
            {%- for name, broken in rules.items() %}
            case when {{ broken }} then '{{ name }}' end{{ "," if not loop.last }}
            {%- endfor %}
        ],
        lambda rule: rule is not null
    )
{%- endmacro %}
