"""JSON bodies that mean one thing only.

Python's parser takes NaN, which is no JSON, keeps the last of two members of one name where a proxy before us may look
at the first, and fails with a RecursionError on deep nesting. Routes with a JSON body refuse all three with a reason.
Events have a decoder of their own that does the same.
"""

import json
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.problems import ProblemError


class StrictJsonRequest(Request):
    """A request whose `json()` is strict."""

    async def json(self) -> Any:
        """The body.

        Raises:
            ProblemError: 400, with what is ambiguous or not JSON.
        """
        body = await self.body()
        try:
            return json.loads(body, object_pairs_hook=_members, parse_constant=_refuse_constant)
        except json.JSONDecodeError:
            raise  # FastAPI answers it with the place
        except RecursionError:
            raise _malformed("The body is nested too deeply.") from None
        except ValueError:  # not UTF-8, or a number of more than 4,300 digits
            raise _malformed("The body is not JSON in UTF-8, or holds a number that nobody can mean.") from None


class StrictJsonRoute(APIRoute):
    """A router's `route_class` for such requests."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, given a strict request."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(StrictJsonRequest(request.scope, request.receive))

        return handle


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _malformed("An object of the body names a member twice.")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise _malformed(f"The body holds {name}, which is no JSON.")


def _malformed(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, "malformed-json", detail)
