"""/v1/schemas, and what a registered schema does to events at the door."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest

from api.main import create_app
from api.services.schemas import Schemas
from resources.event_schemas.folder import SchemaFolder
from resources.settings import ApiSettings, KafkaSettings, SchemasSettings, Settings
from resources.settings.api import UnknownEvents

FIRST: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}
NARROWER = FIRST | {"properties": {"path": {"type": "string", "maxLength": 5}}}


@pytest.fixture
def offline(unreachable: Settings) -> Settings:
    """No event log, and schemas that are in force at once."""
    return unreachable.model_copy(update={"schemas": SchemasSettings(in_force_after_s=0)})


@pytest.fixture
async def api(serve: Any, offline: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(offline) as http:
        yield http


async def register(api: httpx.AsyncClient, schema: Any, name: str = "page_viewed", **rest: Any) -> httpx.Response:
    query = {"dry_run": "true"} if rest.pop("dry_run", False) else {}
    return await api.post(f"/v1/schemas/{name}", json={"schema": schema} | rest, params=query)


async def test_registered_schema_is_fetched_as_it_was_sent(api: httpx.AsyncClient) -> None:
    """201 with its version and time, then by name, by version and as a bare JSON Schema."""
    answer = await register(api, FIRST)
    assert answer.status_code == 201
    told = answer.json()["data"]
    assert (told["event_name"], told["version"], told["compatibility"]) == ("page_viewed", 1, "backward")
    assert told["schema"] == FIRST
    assert told["registered_by"] == "local-developer"
    assert told["in_force_from"] == told["registered_at"]
    for path in ("/v1/schemas/page_viewed", "/v1/schemas/page_viewed/1"):
        found = await api.get(path)
        assert found.status_code == 200
        assert found.json()["data"] == told
        bare = await api.get(path, headers={"accept": "application/schema+json"})
        assert bare.headers["content-type"] == "application/schema+json"
        assert bare.json() == FIRST


async def test_list_names_registered_and_built_in_schemas(api: httpx.AsyncClient, offline: Settings) -> None:
    """And the files that cannot be read, with the reason."""
    await register(api, FIRST)
    await register(api, NARROWER, compatibility="none")
    (offline.schemas_dir / "broken.v1.json").write_text("{")
    data = (await api.get("/v1/schemas")).json()["data"]
    assert [(one["event_name"], one["newest_version"], one["is_built_in"]) for one in data["schemas"]] == [
        ("page_viewed", 2, False),
        ("purchase_line", 1, True),
    ]
    assert data["unreadable"]["broken.v1.json"].startswith("it is no schema version")


async def test_built_in_contract_is_read_only(api: httpx.AsyncClient) -> None:
    document = (await api.get("/v1/schemas/purchase_line/1")).json()["data"]["schema"]
    jsonschema_rs.Draft202012Validator(document)
    refused = await register(api, FIRST, "purchase_line", compatibility="none")
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("built-in-schema")


async def test_incompatible_schema_is_a_conflict_that_names_each_violation(api: httpx.AsyncClient) -> None:
    """Also as a dry run; `none` overrides it."""
    await register(api, FIRST)
    refused = await register(api, NARROWER)
    assert refused.status_code == 409
    problem = refused.json()
    assert problem["type"].endswith("incompatible-schema")
    assert problem["violations"] == [
        {
            "path": "$.path",
            "problem": "the version before allows more than 5 characters, this one refuses that",
            "remedy": "allow any number of characters",
        }
    ]
    assert (await register(api, NARROWER, dry_run=True)).status_code == 409
    assert (await register(api, NARROWER, compatibility="none")).status_code == 201


async def test_schema_outside_the_subset_is_refused_with_every_fault(api: httpx.AsyncClient) -> None:
    refused = await register(
        api, {"type": "object", "oneOf": [], "properties": {"a": {"type": "string", "pattern": 3}}}
    )
    assert refused.status_code == 422
    assert [fault["path"] for fault in refused.json()["faults"]] == ["#/oneOf", "#/properties/a/pattern"]
    refused = await register(api, {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=a)"}}})
    assert refused.status_code == 422
    assert "look-around" in refused.json()["faults"][0]["remedy"]


async def test_dry_run_and_repetition_store_nothing(api: httpx.AsyncClient, offline: Settings) -> None:
    dry = await register(api, FIRST, dry_run=True)
    assert dry.status_code == 200
    assert dry.json()["message"] == "It can be registered as version 1"
    assert not offline.schemas_dir.exists()
    assert (await register(api, FIRST)).status_code == 201
    again = await register(api, FIRST)
    assert (again.status_code, again.json()["data"]["version"]) == (200, 1)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/schemas/nothing", 404),
        ("/v1/schemas/purchase_line/2", 404),
        ("/v1/schemas/purchase_line/0", 422),
        ("/v1/schemas/purchase_line/x", 422),
        ("/v1/schemas/..%2F..%2Fetc", 404),
        ("/v1/schemas/.hidden", 422),
        ("/v1/schemas/page%20viewed", 422),
        (f"/v1/schemas/{'a' * 129}", 422),
    ],
)
async def test_what_is_no_schema_is_not_found(api: httpx.AsyncClient, path: str, status: int) -> None:
    assert (await api.get(path)).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"schema": true}',
        b'{"schema": {}}',
        b'{"schema": {"type": "object"}, "registered_by": "x"}',
        b'{"schema": {"type": "object"}, "compatibility": "sideways"}',
        b'{"schema": {"type": "object", "default": "\\ud800"}}',
        b'{"schema": {"type": "object", "properties": {"\\ud800": {"not": {}}}}}',
        b'{"schema": {"type": "object", "maximum": NaN}}',
        b'{"schema": {"type": "object", "default": ' + b"[" * 500 + b"]" * 500 + b"}}",
    ],
)
async def test_body_that_is_no_registration_is_refused(api: httpx.AsyncClient, offline: Settings, body: bytes) -> None:
    answer = await api.post("/v1/schemas/x", content=body, headers={"content-type": "application/json"})
    if answer.status_code == 201:
        # Deep, but within what JSON's readers here take: an annotation says nothing.
        assert b"[[" in body
    else:
        assert answer.status_code in (400, 422), answer.text
        assert not offline.schemas_dir.exists()


async def test_read_only_folder_says_where_schemas_come_from(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("resources.durable_files.os.link", refuse)
    refused = await register(api, FIRST)
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("schemas-read-only")
    assert "mounted from" in refused.json()["detail"]


async def test_folder_that_fails_is_a_503_without_internals(
    api: httpx.AsyncClient, offline: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error", str(offline.schemas_dir))

    monkeypatch.setattr(SchemaFolder, "listing", fail)
    for answer in (await api.get("/v1/schemas"), await api.get("/v1/schemas/x"), await register(api, FIRST)):
        assert answer.status_code == 503
        assert str(offline.schemas_dir) not in answer.text


async def test_registration_stands_in_the_audit_log(api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """Once for what was registered, not for dry runs and repetitions."""
    caplog.set_level("INFO", logger="audit")
    await register(api, FIRST, dry_run=True)
    await register(api, FIRST)
    await register(api, FIRST)
    entries = [record for record in caplog.records if record.name == "audit"]
    assert [(vars(entry)["action"], vars(entry)["subject"]) for entry in entries] == [
        ("schema.registered", "page_viewed")
    ]


async def test_event_that_breaks_its_schema_is_refused_at_the_door_and_recorded(
    serve: Any, broker: str, tmp_path: Path, on_the_log: Any
) -> None:
    """207: the good ones are on the log, the others are rejections with the place and the version."""
    settings = Settings(
        data_dir=tmp_path,
        kafka=KafkaSettings(bootstrap_servers=broker),
        api=ApiSettings(unknown_events=UnknownEvents.REJECT),
        schemas=SchemasSettings(in_force_after_s=0),
    )
    payloads = [{"path": "/"}, {"path": 3}, {"path": "/", "new": True}]
    events = [{"event_name": "page_viewed", "source_service": "web", "payload": payload} for payload in payloads]
    events.append({"event_name": "never_heard_of", "source_service": "web", "payload": {}})
    async with serve(settings) as api:
        assert (await register(api, FIRST)).status_code == 201
        answer = await api.post("/v1/events", json=events, headers={"x-request-id": "by-schema"})
    assert answer.status_code == 207, answer.text
    assert answer.json()["data"]["accepted"] == 1
    reasons = [refusal["reason"] for refusal in answer.json()["data"]["refusals"]]
    assert reasons[0] == 'the value is not of type "string" - at `$.payload.path` (schema page_viewed v1)'
    assert "'new' was unexpected" in reasons[1]
    assert "POST /v1/schemas/never_heard_of" in reasons[2]
    stored, rejected = on_the_log("by-schema")
    assert [event["payload"] for event in stored] == [{"path": "/"}]
    assert [rejection["reason"] for rejection in rejected] == reasons


async def test_version_registered_by_another_process_is_taken_up_within_a_second(
    api: httpx.AsyncClient, offline: Settings
) -> None:
    """Two applications on one folder."""
    other = create_app(offline)
    async with other.router.lifespan_context(other):
        schemas: Schemas = other.state.schemas
        assert (await register(api, FIRST)).status_code == 201
        async with asyncio.timeout(5):
            while schemas.in_force.names != {"page_viewed"}:
                await asyncio.sleep(0.01)


async def test_schema_in_the_answer_is_the_one_in_the_file(api: httpx.AsyncClient, offline: Settings) -> None:
    """Order of keys and kinds of numbers included."""
    schema = {"type": "object", "properties": {"b": {"type": "number", "minimum": 1.0}, "a": {"const": 1}}}
    await register(api, schema)
    content = msgspec.json.decode((offline.schemas_dir / "page_viewed.v1.json").read_bytes())
    found = (await api.get("/v1/schemas/page_viewed", headers={"accept": "application/schema+json"})).content
    assert msgspec.json.encode(content["schema"]) == found == msgspec.json.encode(schema)
