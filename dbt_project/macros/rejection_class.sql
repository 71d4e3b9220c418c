{#
    The classes of rejection reasons, each with the patterns of its messages; the first that matches decides. The
    messages are those of the event contract, its JSON decoder, the registered schemas and the door's clock. Anything else is of the
    class "other".
#}
{% macro rejection_classes() %}
    {{ return({
        "schema_broken": ["%(schema % v%)"],
        "name_unknown": ["No schema of % is in force%"],
        "not_json": ["JSON is malformed%", "Input data was truncated%", "%codec can''t decode%"],
        "too_large": ["An event may have at most%", "With the server''s fields an event may have at most%"],
        "too_deep": ["The JSON nests too deeply%", "The payload nests deeper%"],
        "key_repeated": ["The key % stands twice%"],
        "time_impossible": ["occurred_at is % in the future%", "With the sender''s clock allowed for%", "Expected a time %"],
        "coupon_match_exceeds_coupon": ["coupon_match_disc % is larger than coupon_disc %"],
        "field_missing": ["Object missing required field%"],
        "field_unknown": ["Object contains unknown field%"],
        "field_invalid": ["Expected %", "Invalid %"],
    }) }}
{% endmacro %}

{# The class of one rejection's reason. #}
{% macro rejection_class(reason) -%}
    case
        {%- for name, patterns in rejection_classes().items() %}
        {%- for pattern in patterns %}
        when {{ reason }} like '{{ pattern }}' then '{{ name }}'
        {%- endfor %}
        {%- endfor %}
        else 'other'
    end
{%- endmacro %}
