{# Passes when no two rows agree in all of the columns; two nulls agree. #}
{% test unique_combination(model, columns) %}
{{ repeated_keys(model, columns, with_nulls=true) }}
{% endtest %}
