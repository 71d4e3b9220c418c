"""/v1/schemas: the contracts of events' payloads, by event name and version.

A client does not say which version of a payload's schema it means: every event is judged by the one in force. With
the default promise (`backward`) the newest takes whatever the earlier ones took, so a sender never has to follow.
`schema_version` in an event is the version of the envelope.
"""

import datetime as dt
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.dependencies import ByCaller, Metadata, TheSchemas
from api.envelope import APIMetadata, StandardResponse
from api.problems import ProblemError, unavailable
from api.strict_json import StrictJsonRoute
from platform_assets.contracts.event_schemas.compatibility import Compatibility
from platform_assets.contracts.event_schemas.keywords import UnsupportedSchema
from platform_assets.contracts.event_schemas.versions import SchemaVersion
from resources.event_schemas.folder import SchemasReadOnly, VersionTaken
from resources.event_schemas.registry import (
    BuiltInSchema,
    DamagedSchemas,
    IncompatibleSchema,
    KnownSchema,
    Outcome,
    UnknownSchema,
)

SCHEMA_JSON = "application/schema+json"
MAX_LISTED = 100

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/schemas", tags=["schemas"], route_class=StrictJsonRoute)

EventName = Annotated[
    str,
    Path(
        max_length=128,
        pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$",
        description="The event name whose payloads are meant.",
        examples=["purchase_line"],
    ),
]
Version = Annotated[int, Path(ge=1, le=99_999, description="Counted from 1 for each event name.", examples=[1])]
DryRun = Annotated[bool, Query(description="Check only: nothing is stored.")]

_EXAMPLE = {
    "type": "object",
    "properties": {"path": {"type": "string", "maxLength": 2000}, "title": {"type": ["string", "null"]}},
    "required": ["path"],
    "additionalProperties": False,
}


class SchemaSummary(BaseModel):
    """An event name with a schema."""

    event_name: str = Field(examples=["page_viewed"])
    newest_version: int = Field(examples=[2])
    is_built_in: bool = Field(description="A contract of the platform's code: it is read-only.")
    compatibility: Compatibility | None = Field(None, description="What the newest version promises; null if built in.")
    in_force_from: dt.datetime | None = None


class SchemaList(BaseModel):
    """Every event name with a schema, in alphabetical order."""

    schemas: list[SchemaSummary]
    unreadable: dict[str, str] = Field(
        description="Files that cannot be read and are not in force, each with the reason.", examples=[{}]
    )


class EventSchema(BaseModel):
    """A version of an event's schema. It judges events from `in_force_from` on, by when the door received them."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    event_name: str = Field(examples=["page_viewed"])
    version: int = Field(examples=[1])
    is_built_in: bool
    compatibility: Compatibility | None = None
    registered_at: dt.datetime | None = None
    in_force_from: dt.datetime | None = None
    registered_by: str | None = Field(None, examples=["usr_01a214f3d2b761d2b74b3694f112"])
    document: dict[str, Any] = Field(alias="schema", description="JSON Schema 2020-12.", examples=[_EXAMPLE])


class NewSchema(BaseModel):
    """A schema to register."""

    model_config = ConfigDict(extra="forbid")

    document: dict[str, Any] = Field(
        alias="schema",
        description=(
            "JSON Schema 2020-12 of the payload, an object. The supported subset: type, properties, required, "
            "additionalProperties, items, enum, const, anyOf, minimum, maximum, exclusiveMinimum, exclusiveMaximum, "
            "minLength, maxLength, minItems, maxItems, pattern; all else is refused. Without `additionalProperties: "
            "false` no property can be described later: what earlier senders put there may be anything."
        ),
        examples=[_EXAMPLE],
    )
    compatibility: Compatibility = Field(
        Compatibility.BACKWARD,
        description=(
            "`backward`: what the version before took is still taken; `forward`: what is taken now was taken before; "
            "`full`: both; `none`: neither."
        ),
    )


@router.get(
    "",
    summary="List schemas",
    response_description="The newest version of each, without the schema itself.",
    responses={503: {"description": "The folder of schemas cannot be read."}},
)
async def get_schemas(request: Request, schemas: TheSchemas, metadata: Metadata) -> StandardResponse[SchemaList]:
    """The registered schemas and the built-in contracts."""
    with _problems(request):
        known, unreadable = await schemas.known()
    found = [
        SchemaSummary(
            event_name=name,
            newest_version=versions[-1].version,
            is_built_in=(told := versions[-1].registered) is None,
            compatibility=told.compatibility if told else None,
            in_force_from=told.in_force_from if told else None,
        )
        for name, versions in known.items()
    ]
    data = SchemaList(schemas=found, unreadable=unreadable)
    return StandardResponse(success=True, data=data, message=f"{len(found)} schemas", metadata=metadata)


_FOUND: dict[int | str, dict[str, Any]] = {
    200: {
        "description": f"The schema; with `Accept: {SCHEMA_JSON}` the JSON Schema alone.",
        "content": {SCHEMA_JSON: {"schema": {"type": "object"}, "example": _EXAMPLE}},
    },
    404: {"description": "There is no schema of this event name, or no such version of it."},
    422: {"description": "That is no event name or version."},
    503: {"description": "The folder of schemas cannot be read."},
}


@router.get(
    "/{event_name}",
    response_model=StandardResponse[EventSchema],
    summary="The newest version of an event's schema",
    responses=_FOUND,
)
async def get_schema(request: Request, event_name: EventName, schemas: TheSchemas, metadata: Metadata) -> Response:
    """Events without a schema are generic: their payload only has to be a JSON object."""
    with _problems(request):
        return _shown(request, await schemas.find(event_name, None), metadata)


@router.get(
    "/{event_name}/{version}",
    response_model=StandardResponse[EventSchema],
    summary="One version of an event's schema",
    responses=_FOUND,
)
async def get_schema_version(
    request: Request, event_name: EventName, version: Version, schemas: TheSchemas, metadata: Metadata
) -> Response:
    """A version never changes; a built-in contract has version 1 only."""
    with _problems(request):
        return _shown(request, await schemas.find(event_name, version), metadata)


@router.post(
    "/{event_name}",
    status_code=HTTPStatus.CREATED,
    summary="Register a schema as the next version",
    response_description="It is stored, and in force from the time given.",
    responses={
        200: {
            "model": StandardResponse[EventSchema],
            "description": "Nothing was stored: the newest version says the same, or `dry_run` asked only.",
        },
        409: {
            "description": (
                "It breaks its promise about the version before (`violations` names each path and remedy), the name "
                "has a built-in contract, somebody else registered the same version, or schemas are read-only here."
            )
        },
        422: {"description": "The schema is outside the supported subset; `faults` names each place and remedy."},
        503: {"description": "The schema cannot be stored or compared just now."},
    },
)
async def post_schema(
    *,
    request: Request,
    response: Response,
    event_name: EventName,
    asked: NewSchema,
    schemas: TheSchemas,
    by: ByCaller,
    metadata: Metadata,
    dry_run: DryRun = False,
) -> StandardResponse[EventSchema]:
    """Events that are received some seconds later are judged by it, at the door and in the stream."""
    with _problems(request):
        version, outcome = await schemas.register(
            event_name, asked.document, promise=asked.compatibility, by=by, dry_run=dry_run
        )
    if outcome is not Outcome.REGISTERED:
        response.status_code = HTTPStatus.OK
    said = {
        Outcome.REGISTERED: f"Version {version.version} registered",
        Outcome.UNCHANGED: f"Version {version.version} says this already",
        Outcome.CHECKED: f"It can be registered as version {version.version}",
    }
    data = _registered(version)
    return StandardResponse(success=True, data=data, message=said[outcome], metadata=metadata)


def _shown(request: Request, known: KnownSchema, metadata: APIMetadata) -> Response:
    if SCHEMA_JSON in request.headers.get("accept", ""):
        return Response(msgspec.json.encode(known.document), media_type=SCHEMA_JSON)
    data = EventSchema(event_name=known.event_name, version=known.version, is_built_in=True, document=known.document)
    if known.registered is not None:
        data = _registered(known.registered)
    answer = StandardResponse[EventSchema](success=True, data=data, message="Schema found", metadata=metadata)
    return Response(answer.model_dump_json(by_alias=True), media_type="application/json")


def _registered(version: SchemaVersion) -> EventSchema:
    return EventSchema(
        event_name=version.event_name,
        version=version.version,
        is_built_in=False,
        compatibility=version.compatibility,
        registered_at=version.registered_at,
        in_force_from=version.in_force_from,
        registered_by=version.registered_by,
        document=version.document,
    )


@contextmanager
def _problems(request: Request) -> Iterator[None]:
    """What the registry refuses, as problems."""
    try:
        yield
    except UnknownSchema as error:
        raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-schema", str(error)) from None
    except UnsupportedSchema as error:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "unsupported-schema",
            "The schema is outside the supported subset; `faults` names each place and what to do.",
            members={"faults": [msgspec.to_builtins(fault) for fault in error.faults]},
        ) from None
    except IncompatibleSchema as error:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            "incompatible-schema",
            f"The schema breaks its promise about version {error.before.version} of {error.before.event_name}; "
            "`violations` names each path and what would keep it.",
            members={"violations": [msgspec.to_builtins(violation) for violation in error.violations[:MAX_LISTED]]},
        ) from None
    except BuiltInSchema as error:
        raise ProblemError(HTTPStatus.CONFLICT, "built-in-schema", str(error)) from None
    except VersionTaken as error:
        raise ProblemError(HTTPStatus.CONFLICT, "version-taken", f"{error}.") from None
    except SchemasReadOnly as error:
        raise ProblemError(HTTPStatus.CONFLICT, "schemas-read-only", f"{error}.") from None
    except DamagedSchemas as error:
        raise unavailable("schemas-damaged", str(error), retry_after_s=60) from None
    except OSError as error:
        logger.error("The folder of schemas failed", exc_info=error, extra={"request_id": request.state.request_id})
        raise unavailable("schemas-unavailable", "Schemas cannot be read or stored just now.") from error
