{#
    The exact sum of a money column in US dollars. Sums of doubles depend on the order of the rows, so that two builds
    of the same rows would differ in the last digits; four decimals hold the tenths of a cent that a sender may use.
#}
{% macro sum_money(amount) -%}
    cast(coalesce(sum(cast({{ amount }} as decimal(18, 4))), 0) as double)
{%- endmacro %}
