{# Passes when no row breaks a rule; a row that does is returned with the names of those. #}
{% test rows_keep_the_contract(model, rules) %}
    with judged as (
        select
            *,
            {{ broken_rules(rules) }} as broken_rules
        from {{ model }}
    )

    select * from judged
    where len(broken_rules) > 0
{% endtest %}
