"""The pages to read and try the routes: /docs (Swagger UI) and /redoc, with nothing fetched from other hosts."""

import importlib.resources
from pathlib import Path
from typing import Literal

from fastapi import APIRouter
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse

from resources.settings import Environment, Settings

# FastAPI's own pages load these from a public network, which a closed one does not reach and a visitor need not tell.
_ASSETS = Path(str(importlib.resources.files("fastapi_offline"))) / "static"
AssetName = Literal["swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js", "favicon.png"]
_TITLE = "Analytics API"

router = APIRouter(include_in_schema=False)


def are_served(settings: Settings) -> bool:
    """Whether these pages and /openapi.json are: in production they would be a map for attackers (ASVS 13.4.5)."""
    return settings.environment is Environment.LOCAL if settings.api.docs is None else settings.api.docs


@router.get("/docs")
async def swagger_ui() -> HTMLResponse:
    """Every route, to try in the browser."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=_TITLE,
        swagger_js_url="/docs/assets/swagger-ui-bundle.js",
        swagger_css_url="/docs/assets/swagger-ui.css",
        swagger_favicon_url="/docs/assets/favicon.png",
    )


@router.get("/redoc")
async def redoc() -> HTMLResponse:
    """Every route, to read."""
    return get_redoc_html(
        openapi_url="/openapi.json",
        title=_TITLE,
        redoc_js_url="/docs/assets/redoc.standalone.js",
        redoc_favicon_url="/docs/assets/favicon.png",
        with_google_fonts=False,
    )


@router.get("/docs/assets/{name}")
async def asset(name: AssetName) -> FileResponse:
    """A script, style or picture of the two pages; only those four can be named."""
    return FileResponse(_ASSETS / name)
