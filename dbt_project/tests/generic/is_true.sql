{#
    Passes when the condition is true of every row; a row for which it is null fails too. It may stand under a column,
    to be found there: the condition names its columns itself.
#}
{% test is_true(model, condition, column_name=none) %}
    select *
    from {{ model }}
    where ({{ condition }}) is not true
{% endtest %}
