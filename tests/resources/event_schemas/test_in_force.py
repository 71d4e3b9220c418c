"""What is judged by which version, and what a process notices of the folder."""

import datetime as dt
import functools
import json
import logging
import timeit

import pytest

from platform_assets.contracts.event_schemas.compatibility import Compatibility
from resources.event_schemas.folder import SchemaFolder
from resources.event_schemas.in_force import NO_SCHEMAS, WatchedSchemas, microseconds_of
from resources.event_schemas.registry import SchemaRegistry
from tests.resources.event_schemas.test_registry import FIRST, NARROWER, WIDER, register


def now_us() -> int:
    return microseconds_of(dt.datetime.now(dt.UTC))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"path": "/"}, None),
        ({}, '"path" is a required property - at `$.payload` (schema page_viewed v1)'),
        ({"path": 3}, 'the value is not of type "string" - at `$.payload.path` (schema page_viewed v1)'),
        (
            {"path": "/", "x": 1},
            "Additional properties are not allowed ('x' was unexpected) - at `$.payload` (schema page_viewed v1)",
        ),
    ],
)
def test_payload_is_judged_with_a_reason_that_names_place_and_version(
    registry: SchemaRegistry, folder: SchemaFolder, payload: dict[str, object], reason: str | None
) -> None:
    register(registry, FIRST)
    assert WatchedSchemas(folder).current.fault("page_viewed", payload, now_us()) == reason


def test_reason_quotes_no_value(registry: SchemaRegistry, folder: SchemaFolder) -> None:
    """The value may be a person's; the recorded body has it, a log must not."""
    register(registry, NARROWER)
    reason = WatchedSchemas(folder).current.fault("page_viewed", {"path": "someone@example.org"}, now_us())
    assert reason is not None
    assert "someone" not in reason


def test_event_is_judged_by_the_version_in_force_when_it_was_received(
    registry: SchemaRegistry, folder: SchemaFolder
) -> None:
    """Before the first version it is generic; a later version says nothing about events from before it."""
    first, _ = register(registry, FIRST)
    second, _ = register(registry, NARROWER, Compatibility.NONE)
    schemas = WatchedSchemas(folder).current
    long = {"path": "/a/long/path"}
    between = microseconds_of(second.in_force_from) - 1
    assert schemas.fault("page_viewed", {}, microseconds_of(first.in_force_from) - 1) is None
    assert schemas.fault("page_viewed", long, between) is None
    assert schemas.fault("page_viewed", {}, between) is not None
    assert schemas.fault("page_viewed", long, between + 1) is not None


def test_version_comes_into_force_some_seconds_after_its_registration(folder: SchemaFolder) -> None:
    """So that every process has it before any event is judged by it."""
    version, _ = register(SchemaRegistry(folder, in_force_after_s=2), FIRST)
    assert version.in_force_from - version.registered_at == dt.timedelta(seconds=2)


def test_unknown_event_name_is_generic_or_refused_with_a_remedy(registry: SchemaRegistry, folder: SchemaFolder) -> None:
    register(registry, FIRST)
    assert WatchedSchemas(folder).current.fault("other", {}, now_us()) is None
    strict = WatchedSchemas(folder, refuses_unknown=True).current
    assert "POST /v1/schemas/other" in str(strict.fault("other", {}, now_us()))
    assert strict.fault("page_viewed", {"path": "/"}, now_us()) is None
    assert strict.fault("purchase_line", {}, now_us()) is None


def test_schemas_are_taken_up_at_the_next_look(registry: SchemaRegistry, folder: SchemaFolder) -> None:
    watched = WatchedSchemas(folder)
    assert watched.current.names == frozenset()
    register(registry, FIRST)
    watched.look()
    before = watched.current
    assert before.names == {"page_viewed"}
    watched.look()
    assert watched.current is before
    register(registry, WIDER)
    watched.look()
    assert watched.current.fault("page_viewed", {"path": "/", "title": "t"}, now_us()) is None


def test_newest_looks_by_itself_once_the_last_look_is_old(
    registry: SchemaRegistry, folder: SchemaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = WatchedSchemas(folder)
    register(registry, FIRST)
    assert watched.newest().names == frozenset()
    monkeypatch.setattr("resources.event_schemas.in_force.LOOK_INTERVAL_S", 0)
    assert watched.newest().names == {"page_viewed"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"event_name": "other"}, "it holds version 2 of other; name it after that"),
        ({"schema": {"type": "object", "not": {}}}, "its schema is not supported: #/not"),
        ({"more": 1}, "it is no schema version"),
    ],
)
def test_file_that_cannot_be_read_is_said_once_and_the_version_before_stays_in_force(
    registry: SchemaRegistry,
    folder: SchemaFolder,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, object],
    says: str,
) -> None:
    """Repaired in place it is taken up."""
    register(registry, FIRST)
    second, _ = register(registry, WIDER)
    path = folder.root / f"page_viewed.v{second.version}.json"
    good = path.read_text()
    path.write_text(json.dumps(json.loads(good) | change))
    watched = WatchedSchemas(folder)
    watched.look()
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert says in vars(record)["fault"]
    titled = {"path": "/", "title": "t"}
    assert "(schema page_viewed v1)" in str(watched.current.fault("page_viewed", titled, now_us()))
    path.write_text(good)
    watched.look()
    assert watched.current.fault("page_viewed", titled, now_us()) is None


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b'{"event_name": "other"}'])
def test_file_of_junk_hides_no_other_file(registry: SchemaRegistry, folder: SchemaFolder, content: bytes) -> None:
    register(registry, FIRST)
    (folder.root / "other.v1.json").write_bytes(content)
    assert list(folder.read().faults) == ["other.v1.json"]
    assert WatchedSchemas(folder).current.names == {"page_viewed"}


def test_link_to_nothing_hides_no_other_file(registry: SchemaRegistry, folder: SchemaFolder) -> None:
    """As a mount leaves one for a moment."""
    register(registry, FIRST)
    (folder.root / "other.v1.json").symlink_to("nowhere")
    assert WatchedSchemas(folder).current.names == {"page_viewed"}


def test_file_for_a_built_in_contract_is_not_taken(registry: SchemaRegistry, folder: SchemaFolder) -> None:
    register(registry, FIRST)
    text = (folder.root / "page_viewed.v1.json").read_text().replace("page_viewed", "purchase_line")
    (folder.root / "purchase_line.v2.json").write_text(text.replace('"version": 1', '"version": 2'))
    assert folder.read().faults == {
        "purchase_line.v2.json": "purchase_line has a built-in contract; take the file away"
    }


def test_folder_that_cannot_be_read_leaves_what_was_in_force(
    registry: SchemaRegistry, folder: SchemaFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And is said once, not at every look."""
    register(registry, FIRST)
    watched = WatchedSchemas(folder)

    def unreadable() -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(folder, "listing", unreadable)
        watched.look()
        watched.look()
    assert watched.current.names == {"page_viewed"}
    assert [record.message for record in caplog.records] == [
        "The folder of schemas cannot be read; those known stay in force"
    ]


def test_event_name_without_a_schema_costs_next_to_nothing(registry: SchemaRegistry, folder: SchemaFolder) -> None:
    """Measured at 0.1 µs, against 3 µs for decoding an event; the bound is loose, since test machines are shared."""
    register(registry, FIRST)
    for schemas in (NO_SCHEMAS, WatchedSchemas(folder).current):
        ask = functools.partial(schemas.fault, "other", {}, 0)
        seconds = min(timeit.repeat(ask, number=10_000, repeat=20))
        assert seconds / 10_000 < 1e-6
