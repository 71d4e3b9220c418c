"""Registering: what becomes a version, what is refused with a remedy, and what survives."""

import concurrent.futures
from typing import Any

import msgspec
import pytest

from platform_assets.contracts.event_schemas.compatibility import Compatibility
from platform_assets.contracts.event_schemas.keywords import UnsupportedSchema
from platform_assets.contracts.event_schemas.versions import SchemaVersion
from resources.event_schemas.folder import SchemaFolder, SchemasReadOnly, VersionTaken
from resources.event_schemas.registry import (
    BuiltInSchema,
    DamagedSchemas,
    IncompatibleSchema,
    Outcome,
    SchemaRegistry,
    UnknownSchema,
)

FIRST: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}
WIDER = FIRST | {"properties": {"path": {"type": "string"}, "title": {"type": "string"}}}
NARROWER = FIRST | {"properties": {"path": {"type": "string", "maxLength": 5}}}


def register(
    registry: SchemaRegistry, document: Any, promise: Compatibility = Compatibility.BACKWARD, **rest: Any
) -> tuple[SchemaVersion, Outcome]:
    return registry.register("page_viewed", document, promise=promise, by="tester", **rest)


def names_in(folder: SchemaFolder) -> list[str]:
    return sorted(path.name for path in folder.root.iterdir())


def test_versions_count_up_and_are_found_by_another_process(registry: SchemaRegistry, folder: SchemaFolder) -> None:
    """Everything told of a version is in its file."""
    first, outcome = register(registry, FIRST)
    second, _ = register(registry, WIDER)
    assert (first.version, second.version, outcome) == (1, 2, Outcome.REGISTERED)
    again = SchemaRegistry(SchemaFolder(folder.root), in_force_after_s=0)
    assert again.find("page_viewed").registered == second
    assert again.find("page_viewed", 1).document == FIRST
    assert names_in(folder) == ["page_viewed.v1.json", "page_viewed.v2.json"]


def test_same_schema_again_is_no_new_version(registry: SchemaRegistry) -> None:
    first, _ = register(registry, FIRST)
    assert register(registry, dict(reversed(FIRST.items()))) == (first, Outcome.UNCHANGED)


def test_incompatible_schema_is_refused_with_path_and_remedy_and_nothing_is_stored(registry: SchemaRegistry) -> None:
    register(registry, FIRST)
    with pytest.raises(IncompatibleSchema, match="not backward-compatible with version 1 of page_viewed") as refused:
        register(registry, NARROWER)
    (violation,) = refused.value.violations
    assert (violation.path, violation.remedy) == ("$.path", "allow any number of characters")
    assert registry.find("page_viewed").version == 1


def test_each_promise_is_held_to_and_none_asks_for_nothing(registry: SchemaRegistry) -> None:
    register(registry, FIRST)
    for promise in (Compatibility.BACKWARD, Compatibility.FULL):
        with pytest.raises(IncompatibleSchema):
            register(registry, NARROWER, promise)
    assert register(registry, NARROWER, Compatibility.FORWARD)[0].version == 2
    assert register(registry, {"type": "object", "required": ["x"]}, Compatibility.NONE)[0].version == 3


def test_dry_run_says_the_same_and_stores_nothing(registry: SchemaRegistry) -> None:
    version, outcome = register(registry, FIRST, dry_run=True)
    assert (version.version, outcome) == (1, Outcome.CHECKED)
    with pytest.raises(UnknownSchema, match="its events are generic"):
        registry.find("page_viewed")


def test_version_that_is_not_there_is_unknown(registry: SchemaRegistry) -> None:
    register(registry, FIRST)
    with pytest.raises(UnknownSchema, match="no version 7; the newest is 1"):
        registry.find("page_viewed", 7)


def test_built_in_contracts_are_listed_as_version_1_and_cannot_be_registered(registry: SchemaRegistry) -> None:
    register(registry, FIRST)
    known, faults = registry.known()
    assert list(known) == ["page_viewed", "purchase_line"]
    assert not faults
    (purchase,) = known["purchase_line"]
    assert (purchase.version, purchase.registered) == (1, None)
    with pytest.raises(BuiltInSchema, match="changes with the platform's code"):
        registry.register("purchase_line", FIRST, promise=Compatibility.NONE, by="tester")


@pytest.mark.parametrize("pattern", ["(a", "(?=a)b", r"(a)\1", r"\Z"])
def test_pattern_that_does_not_compile_in_linear_time_is_refused(registry: SchemaRegistry, pattern: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}
    with pytest.raises(UnsupportedSchema, match=r"pattern.*without look-around"):
        register(registry, schema)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "page viewed", "1a", "a" * 129])
def test_event_name_that_no_event_can_have_is_refused(registry: SchemaRegistry, name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        registry.register(name, FIRST, promise=Compatibility.NONE, by="tester")


def test_of_many_that_register_at_once_one_makes_the_version(registry: SchemaRegistry, folder: SchemaFolder) -> None:
    """The others are told, or find theirs to be the same; no file is overwritten, none is left half done."""
    documents = [FIRST | {"description": str(number)} for number in range(8)]

    def attempt(document: dict[str, Any]) -> int | None:
        try:
            return register(SchemaRegistry(folder, in_force_after_s=0), document)[0].version
        except VersionTaken:
            return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        versions = [version for version in pool.map(attempt, documents) if version is not None]
    assert sorted(versions) == list(range(1, len(versions) + 1))
    assert names_in(folder) == [f"page_viewed.v{version}.json" for version in sorted(versions)]


def test_read_only_folder_is_named_as_the_reason(
    registry: SchemaRegistry, folder: SchemaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root no folder is read-only by its mode; the file system's answer is made instead."""

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("resources.durable_files.os.link", refuse)
    with pytest.raises(SchemasReadOnly, match=r"page_viewed\.v1\.json.*mounted from"):
        register(registry, FIRST)
    assert names_in(folder) == []


def test_damaged_file_of_the_event_is_to_be_repaired_first(registry: SchemaRegistry, folder: SchemaFolder) -> None:
    register(registry, FIRST)
    (folder.root / "page_viewed.v2.json").write_text("{")
    with pytest.raises(DamagedSchemas, match=r"page_viewed\.v2\.json cannot be read"):
        register(registry, WIDER)
