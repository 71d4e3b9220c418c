"""What a person's SQL may be: one SELECT over tables, without a look at files, settings or the engine's own state."""

from collections.abc import Iterator
from typing import Any

import duckdb
import msgspec

MAX_LENGTH = 50_000
# Whatever else makes a table reads files, the engine's state, or runs SQL that nobody has looked at: query('…').
TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "json_each", "json_tree"})
_SETTINGS_AND_STATE = frozenset({"current_setting", "getenv", "getvariable", "write_log", "nextval", "currval"})
# Each makes a string or list of any length from a number; see `hardened` about memory.
_AMPLIFIERS = frozenset({"repeat", "lpad", "rpad", "bar", "format", "printf", "array_resize", "list_resize"})
REFUSED_FUNCTIONS = _SETTINGS_AND_STATE | _AMPLIFIERS
# duckdb_databases and pg_settings, for two, are views that name the server's folders.
_ENGINE_TABLES = ("duckdb_", "pragma_", "sqlite_", "pg_")


class QueryRefused(PermissionError):
    """The query is more than one SELECT over tables; the message names what has to go."""


class QueryInvalid(ValueError):
    """The query is no SQL, or names what is not there; the message says what."""


def check_person_sql(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Parse, and look at every function and table; nothing is run. Takes about 0.3 ms.

    Raises:
        QueryInvalid: it cannot be parsed.
        QueryRefused: it is another statement, or more than one, or calls what it must not.
    """
    if len(sql) > MAX_LENGTH:
        raise QueryRefused(f"A query has at most {MAX_LENGTH:,} characters.")
    row = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    try:
        parsed: dict[str, Any] = msgspec.json.decode(row[0]) if row is not None else {}
    except RecursionError:
        raise QueryRefused("The query's expressions are nested too deep.") from None
    if parsed.get("error", True):
        if parsed.get("error_type") == "parser":
            raise QueryInvalid(f"This is no SQL: {parsed.get('error_message')}.")
        raise QueryRefused("Only a SELECT is allowed, and PIVOT counts as more than one.")
    if len(parsed["statements"]) != 1:
        raise QueryRefused(f"One SELECT is allowed; these are {len(parsed['statements'])} statements.")
    for node in _nodes(parsed["statements"]):
        _check_node(node)


def _check_node(node: dict[str, Any]) -> None:
    match node.get("type"):
        case "TABLE_FUNCTION":
            function = node.get("function", {})
            name = str(function.get("function_name", "")).lower()
            if name not in TABLE_FUNCTIONS:
                allowed = ", ".join(sorted(TABLE_FUNCTIONS))
                raise QueryRefused(f"{name}() may not be read from; allowed are tables and {allowed}.")
        case "BASE_TABLE":
            name = str(node.get("table_name", "")).lower()
            if name.startswith(_ENGINE_TABLES):
                raise QueryRefused(f"{name} tells of the engine and not of data; read information_schema instead.")
        case "FUNCTION":
            name = str(node.get("function_name", "")).lower()
            if name in REFUSED_FUNCTIONS:
                raise QueryRefused(f"{name}() is not allowed in a query.")


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    # A list of its own, not recursion: the depth is the writer's choice.
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)
