{#
    Creates the schema and the empty table of every declared source that the warehouse does not have yet, from the
    columns in the source's YAML: a build on an empty warehouse then succeeds with zero rows. Runs on-run-start.
#}
{% macro create_missing_sources() %}
    {% if execute %}
        {% set sources = graph.sources.values() | selectattr("package_name", "equalto", project_name) | list %}
        {% for schema in sources | map(attribute="schema") | unique %}
            {% do adapter.create_schema(api.Relation.create(database=target.database, schema=schema)) %}
        {% endfor %}
        {% for source in sources %}
            {% set relation = api.Relation.create(
                database=source.database, schema=source.schema, identifier=source.identifier
            ) %}
            {% set columns = [] %}
            {% for column in source.columns.values() %}
                {% if not column.data_type %}
                    {% do exceptions.raise_compiler_error(
                        "Column " ~ column.name ~ " of source " ~ relation ~ " has no data_type: declare it in its YAML"
                    ) %}
                {% endif %}
                {% do columns.append(adapter.quote(column.name) ~ " " ~ column.data_type) %}
            {% endfor %}
            {% do run_query("create table if not exists " ~ relation ~ " (" ~ columns | join(", ") ~ ")") %}
        {% endfor %}
    {% endif %}
{% endmacro %}
