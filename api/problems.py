"""Errors as RFC 9457 problem details: the right status, a reason for the client, and no internals.

A route raises `ProblemError`; whatever else goes wrong becomes a problem here too. Each carries the `request_id`
under which the log tells the rest.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from api.security.policy import methods_of

PROBLEM_JSON = "application/problem+json"

logger = logging.getLogger(__name__)


class Problem(BaseModel):
    """RFC 9457. Members beyond these are documented at the route that adds them."""

    model_config = ConfigDict(extra="allow")

    type: str = Field("about:blank", description="Names the kind of problem; about:blank says no more than the status.")
    title: str
    status: int
    detail: str = Field(description="What happened and what to do about it.")
    instance: str = Field(description="The path that was asked for.")
    request_id: str


class ProblemError(HTTPException):
    """Ends a request with a problem. `kind` becomes the last part of `type`; `members` stand beside the fixed ones.

    It is an HTTPException because FastAPI lets nothing else through that a middleware raises while a body is read.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status.value, detail, dict(headers or {}))
        self.status = status
        self.kind = kind
        self.members = dict(members or {})


def unavailable(kind: str, detail: str, *, retry_after_s: int = 1) -> ProblemError:
    """A 503 that says when to come back."""
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, kind, detail, headers={"Retry-After": str(retry_after_s)})


def request_id_of(scope: Scope) -> str:
    """The id that the request logging middleware gave the request."""
    return str(scope.get("state", {}).get("request_id", "unknown"))


def problem_response(scope: Scope, error: ProblemError) -> Response:
    """The response for a problem, for middleware as well as for exception handlers."""
    problem = Problem(
        type=f"urn:analytics:problem:{error.kind}" if error.kind else "about:blank",
        title=error.status.phrase,
        status=error.status.value,
        detail=error.detail,
        instance=scope["path"],
        request_id=request_id_of(scope),
        **error.members,
    )
    content = json.dumps(problem.model_dump(mode="json"))  # ASCII: a path may hold what has no UTF-8 form
    return Response(content, error.status.value, error.headers, media_type=PROBLEM_JSON)


def internal_error(scope: Scope, error: Exception) -> Response:
    """A 500 that says nothing but the id under which the traceback is in the log."""
    request_id = request_id_of(scope)
    logger.error("Unhandled error", extra={"request_id": request_id}, exc_info=error)
    detail = f"Something went wrong on our side. The log has it under request id {request_id}."
    return problem_response(scope, ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", detail))


def install_problem_handlers(app: FastAPI) -> None:
    """Every error of `app` becomes a problem; an unhandled one is turned into a 500 by the logging middleware."""

    async def on_problem(request: Request, error: ProblemError) -> Response:
        return problem_response(request.scope, error)

    async def on_http_exception(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        headers = dict(error.headers or {})
        methods = methods_of(request.scope["path"])
        if status is HTTPStatus.METHOD_NOT_ALLOWED and methods:
            headers["Allow"] = ", ".join(methods)  # Starlette names those of the first route with this path only
        problem = ProblemError(status, "", str(error.detail), headers=headers)
        return problem_response(request.scope, problem)

    async def on_invalid_request(request: Request, error: RequestValidationError) -> Response:
        methods = methods_of(request.scope["path"])
        if methods and request.method not in {*methods, "HEAD"}:
            # DELETE /v1/users/me came to the route of /v1/users/{user_id}, for want of one of its own.
            status = HTTPStatus.METHOD_NOT_ALLOWED
            not_allowed = ProblemError(status, "", status.phrase, headers={"Allow": ", ".join(methods)})
            return problem_response(request.scope, not_allowed)
        problem = ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid-request",
            "The request does not fit the documented schema; `errors` names each fault.",
            members={"errors": _without_input(error.errors())},
        )
        return problem_response(request.scope, problem)

    app.exception_handler(ProblemError)(on_problem)
    app.exception_handler(HTTPException)(on_http_exception)
    app.exception_handler(RequestValidationError)(on_invalid_request)


def _without_input(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    # What was sent stays out of the answer: it may be large, secret or not JSON.
    return [
        {"location": [str(part) for part in error["loc"]], "message": error["msg"], "type": error["type"]}
        for error in errors
    ]
