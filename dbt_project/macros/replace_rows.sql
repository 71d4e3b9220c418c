{#
    Incremental strategy `replace`: the rows of the table that the fresh ones stand for are deleted and the fresh ones
    inserted, in one transaction. The model's `incremental_predicates` say which those are, as conditions on `target` and
    `fresh`. Days that were asked for are emptied first where the model has them as its `event_time`, so that rows
    whose origin is gone go too.
#}
{% macro get_incremental_replace_sql(arg_dict) %}
    {% set target, fresh = arg_dict["target_relation"], arg_dict["temp_relation"] %}
    {% if not arg_dict["incremental_predicates"] %}
        {% do exceptions.raise_compiler_error("Model " ~ model.name ~ " replaces rows: give it incremental_predicates") %}
    {% endif %}
    {% if config.get("event_time") and days_are_asked() %}
        delete from {{ target }} as target where {{ is_asked_day("target." ~ config.get("event_time")) }};
    {% endif %}
    delete from {{ target }} as target
    using {{ fresh }} as fresh
    where {{ arg_dict["incremental_predicates"] | join(" and ") }};

    {{ get_insert_into_sql(target, fresh, arg_dict["dest_columns"]) }}
{% endmacro %}

{#
    Incremental strategy `replace_sessions`: a fresh session stands for all of its household's that lie inside it, of
    which a late purchase may have joined several. Spread over its days, so that the join finds them by household and day.
#}
{% macro get_incremental_replace_sessions_sql(arg_dict) %}
    {% set target, fresh = arg_dict["target_relation"], arg_dict["temp_relation"] %}
    delete from {{ target }} as target
    using (
        select
            household_id,
            started_at,
            ended_at,
            cast(unnest(generate_series(
                cast(session_date as timestamp), cast({{ business_date("ended_at") }} as timestamp), interval 1 day
            )) as date) as session_date
        from {{ fresh }}
    ) as fresh
    where
        target.household_id = fresh.household_id
        and target.session_date = fresh.session_date
        and target.started_at between fresh.started_at and fresh.ended_at;

    {{ get_insert_into_sql(target, fresh, arg_dict["dest_columns"]) }}
{% endmacro %}
