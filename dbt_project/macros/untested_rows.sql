{#
    A row is tested until it has passed. `tests.passed_until` holds, for each table of rows that say when they were loaded,
    up to which load all of its tests have passed, and a test reads only what was loaded after that; where first_day and
    last_day ask for days, those too. So the tests of a build cost what is new and not what was there before.
    `--vars 'full_tests: true'` and `--full-refresh` test everything.
#}

{# Which rows of a relation a test has to read, as an SQL condition; none means all of them. #}
{% macro untested_rows(relation) %}
    {% set node = node_of(relation) if execute else none %}
    {% if not node or "loaded_at" not in node.columns or all_rows_are_tested() %}
        {{ return(none) }}
    {% endif %}
    {% set condition %}
        loaded_at > coalesce(
            (select loaded_at from tests.passed_until where name = '{{ node.schema }}.{{ node.name }}'),
            timestamptz '-infinity'
        )
        {%- if node.config.event_time and days_are_asked() %} or {{ is_asked_day(node.config.event_time) }} {% endif %}
    {% endset %}
    {{ return("(" ~ condition ~ ")") }}
{% endmacro %}

{# What a generic test reads for its `model`: dbt's own macro of this name knows only the test's `where`. #}
{% macro get_where_subquery(relation) %}
    {# Whether a key is unique is asked of all rows: these tests look at the new keys only, among all. #}
    {% set untested = none if model.test_metadata.name in ("unique", "unique_combination") else untested_rows(relation) %}
    {% set conditions = [config.get("where"), untested] | select | list %}
    {% if conditions %}
        {{ return("(select * from " ~ relation ~ " where (" ~ conditions | join(") and (") ~ ")) as tested_rows") }}
    {% endif %}
    {{ return(relation) }}
{% endmacro %}

{# The model, snapshot or source that a relation is; none for another one. #}
{% macro node_of(relation) %}
    {% set nodes = graph.nodes.values() | list + graph.sources.values() | list %}
    {{ return(nodes | selectattr("relation_name", "equalto", relation | string) | first) }}
{% endmacro %}

{# Runs on-run-start. #}
{% macro create_tests_passed() %}
    {% if execute %}
        {% do run_query("create schema if not exists tests") %}
        {% do run_query(
            "create table if not exists tests.passed_until (name varchar primary key, loaded_at timestamptz not null)"
        ) %}
    {% endif %}
{% endmacro %}

{# Runs on-run-end: moves the mark of every table of which all tests ran and none failed. #}
{% macro remember_tests_passed(results) %}
    {% if execute %}
        {% set passed = [] %}
        {% for result in results if result.node.resource_type == "test" and result.status in ("pass", "warn") %}
            {% do passed.append(result.node.unique_id) %}
        {% endfor %}
        {% set tests_by_node = {} %}
        {% for test in graph.nodes.values() | selectattr("resource_type", "equalto", "test") %}
            {% do tests_by_node.setdefault(tested_node(test), []).append(test.unique_id) %}
        {% endfor %}
        {% set marks = [] %}
        {% for unique_id, tests in tests_by_node.items() if tests | reject("in", passed) | list | length == 0 %}
            {% set node = graph.nodes.get(unique_id) or graph.sources.get(unique_id) %}
            {% if node and "loaded_at" in node.columns %}
                {% set loaded = loaded_table(node) %}
                {% do marks.append(
                    "(select '" ~ node.schema ~ "." ~ node.name ~ "' as name, loaded_at from " ~ loaded.relation_name
                    ~ " order by loaded_at desc limit 1)"
                ) %}
            {% endif %}
        {% endfor %}
        {% if marks %}
            {% do run_query("insert or replace into tests.passed_until " ~ marks | join(" union all ")) %}
        {% endif %}
    {% endif %}
{% endmacro %}

{# The table that the rows of a node were loaded into: a view's is the source that it reads them from. #}
{% macro loaded_table(node) %}
    {% if node.config.materialized != "view" %}
        {{ return(node) }}
    {% endif %}
    {% set sources = graph.sources.values() | selectattr("unique_id", "in", node.depends_on.nodes) | list %}
    {{ return(sources | selectattr("columns.loaded_at") | first) }}
{% endmacro %}

{# Whose rows a test is about: the model or source that it stands under, or that its meta.dagster.ref names. #}
{% macro tested_node(test) %}
    {% set named = test.config.meta.get("dagster", {}).get("ref", {}).get("name") %}
    {% if named %}
        {{ return("model." ~ project_name ~ "." ~ named) }}
    {% endif %}
    {{ return(test.attached_node or test.depends_on.nodes | first) }}
{% endmacro %}
