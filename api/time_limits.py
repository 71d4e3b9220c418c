"""How long a request may take: its body to come in, and its answer to begin.

The head of a request is watched by `api.http_protocol`, since no application sees it before it is whole.
"""

import asyncio
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import ProblemError, problem_response


class TimeLimitMiddleware:
    """408 for a body that does not come in time, 504 for an answer that does not begin in time.

    A stream that has begun is not cut off. The wait for the broker has its own, shorter limit.
    """

    def __init__(self, app: ASGIApp, *, body_s: float, handling_s: float) -> None:
        self.app = app
        self._body_s = body_s
        self._handling_s = handling_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        body_ends_at = loop.time() + self._body_s
        body_is_whole = answer_has_begun = False

        async def receive_in_time() -> Message:
            nonlocal body_is_whole
            if body_is_whole:
                return await receive()  # waits for the client to go away
            try:
                async with asyncio.timeout_at(body_ends_at):
                    message = await receive()
            except TimeoutError:
                raise ProblemError(
                    HTTPStatus.REQUEST_TIMEOUT,
                    "body-too-slow",
                    f"The body did not arrive within {self._body_s:g} s; send it faster or in smaller parts.",
                    headers={"Connection": "close"},
                ) from None
            body_is_whole = not message.get("more_body", False)
            return message

        async def send_begun(message: Message) -> None:
            nonlocal answer_has_begun
            if not answer_has_begun:
                answer_has_begun = True
                limit.reschedule(None)
            await send(message)

        try:
            async with asyncio.timeout(self._handling_s) as limit:
                await self.app(scope, receive_in_time, send_begun)
        except TimeoutError:
            if answer_has_begun:
                raise
            problem = ProblemError(
                HTTPStatus.GATEWAY_TIMEOUT,
                "handling-too-slow",
                f"The answer was not ready within {self._handling_s:g} s; try again.",
                headers={"Connection": "close"},
            )
            await problem_response(scope, problem)(scope, receive, send)
