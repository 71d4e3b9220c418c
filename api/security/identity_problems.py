"""What identity refuses, as problems."""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request, Response

from api.problems import ProblemError, problem_response, request_id_of, unavailable
from resources.identity import errors
from resources.identity.database import IdentityUnavailable

_STATUS: dict[type[errors.IdentityError], tuple[HTTPStatus, str]] = {
    errors.NotFound: (HTTPStatus.NOT_FOUND, "not-found"),
    errors.Conflict: (HTTPStatus.CONFLICT, "conflict"),
    errors.Forbidden: (HTTPStatus.FORBIDDEN, "forbidden"),
    errors.Invalid: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
    errors.WrongCredentials: (HTTPStatus.UNAUTHORIZED, "wrong-credentials"),
}

logger = logging.getLogger(__name__)


def problem_of(error: errors.IdentityError) -> ProblemError:
    """The problem that tells the caller."""
    if isinstance(error, errors.TooManyAttempts):
        headers = {"Retry-After": str(error.retry_after_s)}
        return ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too-many-attempts", str(error), headers=headers)
    if isinstance(error, errors.Busy):
        return unavailable("busy", str(error))
    status, kind = _STATUS[type(error)]
    headers = {"WWW-Authenticate": 'Bearer realm="analytics"'} if status is HTTPStatus.UNAUTHORIZED else {}
    return ProblemError(status, kind, str(error), headers=headers)


def install_identity_problems(app: FastAPI) -> None:
    """Have routes call identity without catching what it refuses."""

    async def on_refusal(request: Request, error: errors.IdentityError) -> Response:
        return problem_response(request.scope, problem_of(error))

    async def on_outage(request: Request, error: IdentityUnavailable) -> Response:
        logger.error(
            "The identity database failed", extra={"request_id": request_id_of(request.scope), "cause": str(error)}
        )
        problem = unavailable("identity-unavailable", "Users and keys cannot be read just now; try again.")
        return problem_response(request.scope, problem)

    app.exception_handler(errors.IdentityError)(on_refusal)
    app.exception_handler(IdentityUnavailable)(on_outage)
