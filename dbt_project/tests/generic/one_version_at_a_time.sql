{# Passes when no version of a key starts before the one before it has ended. #}
{% test one_version_at_a_time(model, key) %}
    with versions as (
        select
            {{ key }},
            dbt_valid_from,
            lag(coalesce(dbt_valid_to, timestamp 'infinity')) over (
                partition by {{ key }} order by dbt_valid_from
            ) as previous_valid_to
        from {{ model }}
    )

    select *
    from versions
    where dbt_valid_from < previous_valid_to
{% endtest %}
