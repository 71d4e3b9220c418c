"""Routes whose JSON bodies mean one thing only: NaN, a member twice and deep nesting are refused with a reason.

Events have a decoder of their own that does the same.
"""

import json
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.problems import ProblemError
from platform_assets.contracts import strict_json


class StrictJsonRequest(Request):
    """A request whose `json()` is strict."""

    async def json(self) -> Any:
        """The body.

        Raises:
            ProblemError: 400, with what is ambiguous or not JSON.
        """
        body = await self.body()
        try:
            return strict_json.loads(body)
        except json.JSONDecodeError:
            raise  # FastAPI answers it with the place
        except strict_json.RepeatedMember:
            raise _malformed("An object of the body names a member twice.") from None
        except strict_json.NotANumber as error:
            raise _malformed(f"The body holds {error.name}, which is no JSON.") from None
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


def _malformed(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, "malformed-json", detail)
