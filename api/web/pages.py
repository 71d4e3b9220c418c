"""The two pages of a session: the form to log in, and who is logged in. No script, nothing from elsewhere."""

import base64
import hashlib
from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template

from fastapi.responses import HTMLResponse

from platform_assets.contracts.access import Principal, Scope

_FOLDER = Path(__file__).parent
_STYLE = (_FOLDER / "session.css").read_text()
_PAGE, _LOG_IN, _SESSION = (Template((_FOLDER / f"{name}.html").read_text()) for name in ("page", "log_in", "session"))
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    # With `no-referrer` a browser sends `Origin: null` with the form, and the log-in could not tell it from another's.
    "Referrer-Policy": "same-origin",
}


def log_in_page(
    *, next_page: str, username: str = "", fault: str = "", status: HTTPStatus = HTTPStatus.OK
) -> HTMLResponse:
    """The form; after a failed try with what to tell."""
    content = _LOG_IN.substitute(
        next=escape(next_page),
        username=escape(username),
        fault=f'<p class="fault" role="alert">{escape(fault)}</p>' if fault else "",
    )
    return _page("Log in", content, status)


def session_page(principal: Principal, *, next_page: str) -> HTMLResponse:
    """Who is logged in, the way on and the way out."""
    access = "may be operated" if principal.may(Scope.PIPELINES_OPERATE) else "may be looked at"
    content = _SESSION.substitute(
        name=escape(principal.name), role=escape(principal.role or "none"), access=access, next=escape(next_page)
    )
    return _page("Your session", content, HTTPStatus.OK)


def _page(title: str, content: str, status: HTTPStatus) -> HTMLResponse:
    return HTMLResponse(_PAGE.substitute(title=title, style=_STYLE, content=content), status.value, HEADERS)
