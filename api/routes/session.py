"""/login, /logout: a browser's session. /auth/check: what nginx asks before it lets a request through."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.dependencies import ByCaller
from api.forms import FORM, is_form, read_form
from api.problems import ProblemError
from api.web.cookies import Shown, clear_headers, set_headers
from api.web.own_site import came_from_here, own_page
from api.web.pages import log_in_page, session_page
from api.web.sessions import Session, Sessions
from platform_assets.contracts.access import Principal, PrincipalKind, Scope
from resources.identity.errors import Busy, TooManyAttempts, WrongCredentials

router = APIRouter(include_in_schema=False)

_MAX_NAME, _MAX_PASSWORD = 64, 1024
_WRONG = "The user name or the password is wrong."
_SAFE_METHODS = {"GET", "HEAD"}


def _sessions(request: Request) -> Sessions:
    sessions: Sessions = request.app.state.sessions
    return sessions


TheSessions = Annotated[Sessions, Depends(_sessions)]


@router.get("/login")
async def get_login(
    request: Request,
    sessions: TheSessions,
    by: ByCaller,
    wanted: Annotated[str | None, Query(alias="next")] = None,
) -> Response:
    """The form; who is logged in already sees that, and the way out."""
    session = await sessions.find(Shown.by(request), by)
    if session is None:
        return log_in_page(next_page=own_page(wanted))
    response = session_page(session.principal, next_page=own_page(wanted))
    for header in set_headers(session.renewed) if session.renewed else ():
        response.headers.append("Set-Cookie", header)
    return response


@router.post("/login")
async def post_login(request: Request, sessions: TheSessions, by: ByCaller) -> Response:
    """Log in and go on to the page that was wanted."""
    _require_own_site(request)
    form = await _form(request)
    name, password = form.get("username", ""), form.get("password", "")
    wanted = own_page(form.get("next"))
    try:
        if not 0 < len(name) <= _MAX_NAME or not 0 < len(password) <= _MAX_PASSWORD:
            raise WrongCredentials(_WRONG)
        pair = await sessions.begin(name, password, Shown.by(request), by)
    except WrongCredentials:
        page = log_in_page(next_page=wanted, username=name, fault=_WRONG, status=HTTPStatus.UNAUTHORIZED)
        page.headers["WWW-Authenticate"] = 'Bearer realm="analytics"'
        return page
    except TooManyAttempts as error:
        page = log_in_page(next_page=wanted, username=name, fault=str(error), status=HTTPStatus.TOO_MANY_REQUESTS)
        page.headers["Retry-After"] = str(error.retry_after_s)
        return page
    except Busy as error:
        page = log_in_page(next_page=wanted, username=name, fault=str(error), status=HTTPStatus.SERVICE_UNAVAILABLE)
        page.headers["Retry-After"] = "1"
        return page
    return _redirect(wanted, set_headers(pair))


@router.get("/logout")
async def get_logout() -> Response:
    """A link does not log out, since any page can hold one; it leads to the button that does."""
    return _redirect("/login", ())


@router.post("/logout")
async def post_logout(request: Request, sessions: TheSessions, by: ByCaller) -> Response:
    """End the session and whatever the pages kept in the browser."""
    _require_own_site(request)
    await sessions.end(Shown.by(request), by)
    response = _redirect("/login", clear_headers())
    response.headers["Clear-Site-Data"] = '"storage"'
    return response


@router.get("/auth/check")
async def check(request: Request, sessions: TheSessions, by: ByCaller) -> Response:
    """204 with X-Auth-User, X-Auth-Role and X-Auth-Access (`operate` or `view`), 401 or 403; for nginx only.

    nginx passes the original request's headers and names its method and address. A session's new tokens come as
    X-Auth-Access-Cookie and X-Auth-Refresh-Cookie, since nginx reads one Set-Cookie at most. With a 401,
    X-Auth-Login is where a browser that wants a page should go.
    """
    principal: Principal | None = request.state.principal
    session: Session | None
    if principal is not None and principal.kind is not PrincipalKind.DEVELOPER:
        session = Session(principal)  # by a credential in a header, which no page sends by itself
    else:
        session = await sessions.find(Shown.by(request), by)
        _require_no_other_site(request)
    if session is None:
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "unauthorized",
            "There is no session, or it has ended. Log in at /login.",
            headers={"X-Auth-Login": _log_in_address(request), "WWW-Authenticate": 'Bearer realm="analytics"'},
        )
    if not session.principal.may(Scope.PIPELINES_READ):
        raise ProblemError(HTTPStatus.FORBIDDEN, "forbidden", f"This needs the scope {Scope.PIPELINES_READ.value}.")
    headers = {
        "X-Auth-User": quote(session.principal.name, safe=" @"),
        "X-Auth-Role": session.principal.role or "",
        "X-Auth-Access": "operate" if session.principal.may(Scope.PIPELINES_OPERATE) else "view",
    }
    if session.renewed is not None:
        headers["X-Auth-Access-Cookie"], headers["X-Auth-Refresh-Cookie"] = set_headers(session.renewed)
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)


def _log_in_address(request: Request) -> str:
    """Empty for what is not a page: a script's request is not helped by a form."""
    headers = request.headers
    is_page = headers.get("sec-fetch-mode", "navigate") == "navigate" and "text/html" in headers.get("accept", "")
    if headers.get("x-original-method", "GET") != "GET" or not is_page:
        return ""
    wanted = own_page(headers.get("x-original-uri"))
    return "/login" if wanted == "/" else f"/login?next={quote(wanted, safe='/')}"


def _require_no_other_site(request: Request) -> None:
    """Let another site's page link here, and do no more."""
    headers = request.headers
    is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    is_safe = headers.get("x-original-method", "GET") in _SAFE_METHODS and not headers.get("x-original-upgrade")
    if not (is_safe and is_link):
        _require_own_site(request)


def _require_own_site(request: Request) -> None:
    if not came_from_here(request.headers):
        raise ProblemError(
            HTTPStatus.FORBIDDEN, "other-site", "The request came from another site's page; open this one itself."
        )


async def _form(request: Request) -> dict[str, str]:
    if not is_form(request.headers.get("content-type")):
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", f"Send the form as {FORM}.")
    try:
        return read_form(await request.body())
    except ValueError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "bad-form", "This is not what the form sends.") from None


def _redirect(address: str, cookies: tuple[str, ...]) -> Response:
    response = RedirectResponse(address, HTTPStatus.SEE_OTHER)
    for header in cookies:
        response.headers.append("Set-Cookie", header)
    return response
