{# Passes when no two rows agree in all of the columns; a combination with a null is none. #}
{% test unique_combination(model, columns) %}
{{ repeated_keys(model, columns) }}
{% endtest %}
