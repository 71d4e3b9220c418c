{#
    Drops each incremental table whose columns are not those that its YAML names, so that this build makes it anew: a
    model that gained or lost a column would fail on the old table otherwise, until somebody said --full-refresh. All of
    its rows come from raw. Only tables that this run builds are looked at. Runs on-run-start.
#}
{% macro drop_outdated_tables() %}
    {% if execute %}
        {% set columns_of = {} %}
        {% for row in run_query("select schema_name || '.' || table_name, column_name from duckdb_columns()").rows %}
            {% do columns_of.setdefault(row[0], []).append(row[1]) %}
        {% endfor %}
        {% for node in graph.nodes.values() if node.unique_id in selected_resources
            and node.resource_type == "model" and node.config.materialized == "incremental" %}
            {% set name = node.schema ~ "." ~ node.name %}
            {% if name in columns_of and columns_of[name] | sort != node.columns.keys() | sort %}
                {% do log(name ~ " has other columns than its model: it is made anew.", info=true) %}
                {% do adapter.drop_relation(adapter.get_relation(node.database, node.schema, node.name)) %}
                {% do run_query("delete from tests.passed_until where name = '" ~ name ~ "'") %}
            {% endif %}
        {% endfor %}
    {% endif %}
{% endmacro %}
