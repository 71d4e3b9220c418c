"""A request that takes too long to come in, or to be answered, ends."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from api.problems import install_problem_handlers
from api.time_limits import TimeLimitMiddleware


@pytest.fixture
def limited() -> httpx.AsyncClient:
    """An application with limits of 50 ms for the body and 100 ms for the answer's beginning."""
    app = FastAPI()
    install_problem_handlers(app)
    app.add_middleware(TimeLimitMiddleware, body_s=0.05, handling_s=0.1)

    @app.post("/body")
    async def read(request: Request) -> int:
        return len(await request.body())

    @app.get("/never")
    async def wait() -> None:
        await asyncio.Event().wait()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun "
            await asyncio.sleep(0.2)
            yield b"and ended"

        return StreamingResponse(parts())

    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost")


async def test_a_body_that_does_not_end_is_a_408(limited: httpx.AsyncClient) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    response = await limited.post("/body", content=slow())
    assert (response.status_code, response.headers["connection"]) == (408, "close")
    assert response.json()["type"].endswith("body-too-slow")


async def test_a_body_in_time_is_read(limited: httpx.AsyncClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"c"

    assert (await limited.post("/body", content=parts())).json() == 3


async def test_an_answer_that_does_not_begin_is_a_504(limited: httpx.AsyncClient) -> None:
    response = await limited.get("/never")
    assert response.status_code == 504
    assert response.json()["type"].endswith("handling-too-slow")


async def test_a_stream_that_has_begun_is_not_cut_off(limited: httpx.AsyncClient) -> None:
    assert (await limited.get("/stream")).text == "begun and ended"
