"""The specification's error handling pattern.

One documented deviation: its handler catches every exception and answers 200 with the exception's text. Here an
exception is left to the application, which answers it as a problem (RFC 9457) with the right status and no internals.
"""

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel

from api.envelope import APIMetadata, StandardResponse
from api.middleware import RequestLoggingMiddleware
from api.problems import install_problem_handlers


class MyDataModel(BaseModel):
    """What the example's route returns."""

    value: int


async def my_business_logic() -> MyDataModel:
    """The example's work."""
    return MyDataModel(value=42)


async def my_failing_logic() -> MyDataModel:
    """Work that goes wrong."""
    raise RuntimeError("connection to db-7 refused for user root")


@pytest.fixture
def client() -> httpx.AsyncClient:
    """The example's application."""
    app = FastAPI()
    app.add_middleware(RequestLoggingMiddleware)
    install_problem_handlers(app)

    @app.get("/my-endpoint", response_model=StandardResponse[MyDataModel])
    async def my_endpoint(request: Request) -> StandardResponse[MyDataModel]:
        # Business logic
        data = await my_business_logic()

        return StandardResponse(
            success=True,
            data=data,
            message="Operation completed successfully",
            metadata=APIMetadata(
                request_id=getattr(request.state, "request_id", "unknown"),
                version="v1",
                environment="development",
            ),
        )

    @app.get("/my-failing-endpoint", response_model=StandardResponse[MyDataModel])
    async def my_failing_endpoint(request: Request) -> StandardResponse[MyDataModel]:
        return StandardResponse(
            success=True,
            data=await my_failing_logic(),
            message="Operation completed successfully",
            metadata=APIMetadata(request_id=request.state.request_id, environment="development"),
        )

    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost")


async def test_standard_response_wraps_the_data_with_its_metadata(client: httpx.AsyncClient) -> None:
    response = await client.get("/my-endpoint", headers={"X-Request-ID": "example-1"})
    body = response.json()
    assert (
        body.pop("metadata").items()
        >= {"request_id": "example-1", "version": "v1", "environment": "development"}.items()
    )
    assert body == {"success": True, "data": {"value": 42}, "message": "Operation completed successfully"}


async def test_a_failure_is_a_500_that_keeps_the_exception_to_the_log(client: httpx.AsyncClient) -> None:
    response = await client.get("/my-failing-endpoint")
    assert response.status_code == 500
    assert "db-7" not in response.text


def test_standard_response_is_generic() -> None:
    metadata = APIMetadata(request_id="r", environment="local")
    wrapped = StandardResponse[MyDataModel].model_validate(
        {"success": True, "data": {"value": "7"}, "message": "", "metadata": metadata}
    )
    assert wrapped.data == MyDataModel(value=7)
