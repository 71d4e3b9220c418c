{#
    The keys that stand in more than one row: of those that a test has not passed with yet, but among all rows. Only the
    key's columns are read of these. `with_nulls`: a null in a key is a value like any other, and not the lack of a key.
    `among_new`: only rows that no test has passed with are looked at.
#}
{% macro repeated_keys(relation, columns, with_nulls=false, among_new=false) -%}
    {%- set untested = untested_rows(relation) -%}
    {%- set key = "held." ~ columns | join(", held.") -%}
    select {{ key }}
    from {{ relation }} as held
    {%- if untested and not among_new %}
    semi join (select {{ columns | join(", ") }} from {{ relation }} where {{ untested }}) as untested
        on
            {%- for column in columns %}
            held.{{ column }} {{ "is not distinct from" if with_nulls else "=" }} untested.{{ column }}
            {{- " and" if not loop.last }}
            {%- endfor %}
    {%- endif %}
    where
        {{ untested if untested and among_new else "true" }}
        {%- if not with_nulls %}
        and held.{{ columns | join(" is not null and held.") }} is not null
        {%- endif %}
    group by {{ key }}
    having count(*) > 1
{%- endmacro %}
