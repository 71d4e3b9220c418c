{#
    The keys that stand in more than one row: of those that a test has not passed with yet, but among all rows. Only the
    key's columns are read of these.
#}
{% macro repeated_keys(relation, columns) -%}
    {%- set untested = untested_rows(relation) -%}
    {%- set key = columns | join(", ") -%}
    select {{ key }}
    from {{ relation }}
    {%- if untested %}
    semi join (select {{ key }} from {{ relation }} where {{ untested }}) as untested using ({{ key }})
    {%- endif %}
    where {{ columns | join(" is not null and ") }} is not null
    group by {{ key }}
    having count(*) > 1
{%- endmacro %}
