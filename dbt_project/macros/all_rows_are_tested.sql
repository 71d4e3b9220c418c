{# Whether this run tests all rows, where a test would cost the whole history otherwise. #}
{% macro all_rows_are_tested() %}
    {{ return(var("full_tests", false) or flags.FULL_REFRESH) }}
{% endmacro %}
