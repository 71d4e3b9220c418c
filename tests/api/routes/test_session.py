"""Log in, log out and nginx's question, on the application with a real identity database."""

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from platform_assets.contracts.access import Role, Scope
from resources.identity.actor import SYSTEM
from resources.identity.keys import KeyKind, NewKey
from resources.identity.service import Identity
from resources.identity.users import UserKind
from resources.settings import ApiSettings, Auth, KafkaSettings, Settings
from tests.api.conftest import UNLIMITED, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "a password of many words"
ACCESS, REFRESH = "__Host-analytics-access", "__Host-analytics-refresh"
PAGE = {"accept": "text/html,*/*", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
OURS = {"sec-fetch-site": "same-origin"}


def strict(data_dir: Path) -> Settings:
    """Strict settings without a broker."""
    api = ApiSettings(auth=Auth.REQUIRED, acknowledgement_timeout_s=0.3)
    return Settings(data_dir=data_dir, kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"), api=api, limits=UNLIMITED)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Strict settings on a folder that the module's tests share: to make its users takes a second."""
    return strict(tmp_path_factory.mktemp("data"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keys(settings: Settings) -> dict[str, str]:
    """A viewer, an engineer and an administrator; a key of the engineer and a write key."""
    identity = Identity(settings)
    await identity.start()
    for role in (Role.VIEWER, Role.ENGINEER, Role.ADMIN):
        await identity.users.create(role.value, role, UserKind.USER, PASSWORD, SYSTEM)
    owner = await identity.users.named("engineer")
    made = {}
    for kind in KeyKind:
        new = NewKey(name=kind.value, kind=kind)
        _, made[kind.value] = await identity.keys.create(owner.id, new, SYSTEM, within=frozenset(Scope))
    await identity.stop()
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(settings: Settings, keys: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application that keeps no cookies by itself: they are Secure, and this is plain http."""
    async with serving(settings) as http:
        yield http


def cookies(response: httpx.Response) -> dict[str, str]:
    """What a browser would keep, with the attributes checked."""
    kept = {}
    for header in response.headers.get_list("set-cookie"):
        (name, morsel), *_ = SimpleCookie(header).items()
        assert (morsel["path"], morsel["domain"], morsel["samesite"]) == ("/", "", "Lax")
        assert morsel["secure"]
        assert morsel["httponly"]
        kept[name] = morsel.value
    return kept


async def log_in(browser: httpx.AsyncClient, name: str, **fields: str) -> httpx.Response:
    form = {"username": name, "password": PASSWORD} | fields
    return await browser.post("/login", data=form, headers=OURS)


def showing(kept: dict[str, str], **headers: str) -> dict[str, str]:
    return {"cookie": "; ".join(f"{name}={value}" for name, value in kept.items()), **headers}


async def test_page_asks_for_name_and_password_and_loads_nothing(browser: httpx.AsyncClient) -> None:
    response = await browser.get("/login", params={"next": "/runs?x=1"})
    assert response.status_code == 200
    assert 'name="next" value="/runs?x=1"' in response.text
    assert "<script" not in response.text
    assert "http" not in response.text
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert response.headers["referrer-policy"] == "same-origin"
    assert response.headers["cache-control"] == "no-store"


async def test_log_in_leads_to_the_page_that_was_wanted(browser: httpx.AsyncClient) -> None:
    response = await log_in(browser, "viewer", next="/runs?x=1")
    assert response.status_code == 303
    assert response.headers["location"] == "/runs?x=1"
    assert cookies(response).keys() == {ACCESS, REFRESH}


async def test_log_in_leads_to_no_other_site(browser: httpx.AsyncClient) -> None:
    response = await log_in(browser, "viewer", next="//evil.example")
    assert response.headers["location"] == "/"


@pytest.mark.parametrize(
    ("name", "password"),
    [("viewer", "wrong"), ("nobody", PASSWORD), ("", ""), ("viewer", "x" * 2000), ("<b>", "wrong")],
)
async def test_failed_log_in_says_one_thing_only(browser: httpx.AsyncClient, name: str, password: str) -> None:
    response = await log_in(browser, name, password=password)
    assert response.status_code == 401
    assert 'role="alert">The user name or the password is wrong.<' in response.text
    assert "<b>" not in response.text
    assert "set-cookie" not in response.headers


async def test_guessing_is_slowed_down(tmp_path: Path) -> None:
    async with serving(strict(tmp_path)) as http:
        answers = [await log_in(http, "somebody", password="wrong") for _ in range(30)]
    assert {answer.status_code for answer in answers} == {401, 429}
    assert int(answers[-1].headers["retry-after"]) > 0
    assert "Too many attempts" in answers[-1].text


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "http://evil.example"}],
)
@pytest.mark.parametrize("path", ["/login", "/logout"])
async def test_form_of_another_site_is_refused(browser: httpx.AsyncClient, path: str, headers: dict[str, str]) -> None:
    form = {"username": "viewer", "password": PASSWORD}
    response = await browser.post(path, data=form, headers=headers)
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in response.headers


async def test_body_that_is_no_form_is_refused(browser: httpx.AsyncClient) -> None:
    assert (await browser.post("/login", json={}, headers=OURS)).status_code == 415
    many = "&".join(f"a{number}=1" for number in range(50))
    form = {"content-type": "application/x-www-form-urlencoded", **OURS}
    assert (await browser.post("/login", content=many, headers=form)).status_code == 400
    assert (await browser.post("/login", content=b"username=\xff", headers=form)).status_code == 400


@pytest.mark.parametrize(("name", "access"), [("viewer", "view"), ("engineer", "operate"), ("admin", "operate")])
async def test_check_tells_who_may_do_what(browser: httpx.AsyncClient, name: str, access: str) -> None:
    kept = cookies(await log_in(browser, name))
    response = await browser.get("/auth/check", headers=showing(kept, **OURS))
    assert response.status_code == 204
    told = {key: value for key, value in response.headers.items() if key.startswith("x-auth")}
    assert told == {"x-auth-user": name, "x-auth-role": name, "x-auth-access": access}


async def test_check_without_a_session_names_the_page_to_log_in(browser: httpx.AsyncClient) -> None:
    asked = {**PAGE, "x-original-method": "GET", "x-original-uri": "/runs?x=1&y=2"}
    response = await browser.get("/auth/check", headers=asked)
    assert response.status_code == 401
    assert response.headers["x-auth-login"] == "/login?next=/runs%3Fx%3D1%26y%3D2"


async def test_check_sends_no_script_to_the_form(browser: httpx.AsyncClient) -> None:
    for asked in (
        {"accept": "application/json", "x-original-uri": "/graphql"},
        {**PAGE, "x-original-method": "POST"},
        {**PAGE, "sec-fetch-mode": "cors"},
    ):
        response = await browser.get("/auth/check", headers=asked)
        assert (response.status_code, response.headers["x-auth-login"]) == (401, "")


async def test_check_renews_a_session_whose_access_token_is_gone(browser: httpx.AsyncClient) -> None:
    kept = cookies(await log_in(browser, "viewer"))
    response = await browser.get("/auth/check", headers=showing({REFRESH: kept[REFRESH]}, **OURS))
    assert response.status_code == 204
    assert response.headers["x-auth-access-cookie"].startswith(f"{ACCESS}=ey")
    assert response.headers["x-auth-refresh-cookie"].startswith(f"{REFRESH}=")
    assert kept[REFRESH] not in response.headers["x-auth-refresh-cookie"]


@pytest.mark.parametrize(
    "asked",
    [
        {"x-original-method": "POST", "sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
        {"x-original-method": "POST", "sec-fetch-site": "cross-site", **PAGE},
        {"x-original-method": "GET", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"x-original-upgrade": "websocket", "origin": "http://evil.example"},
        {"x-original-upgrade": "websocket", "sec-fetch-site": "same-site", "sec-fetch-mode": "websocket"},
    ],
)
async def test_check_refuses_what_another_site_made_the_browser_send(
    browser: httpx.AsyncClient, asked: dict[str, str]
) -> None:
    kept = cookies(await log_in(browser, "engineer"))
    assert (await browser.get("/auth/check", headers=showing(kept, **asked))).status_code == 403


async def test_check_lets_another_site_link_here(browser: httpx.AsyncClient) -> None:
    kept = cookies(await log_in(browser, "viewer"))
    asked = {**PAGE, "sec-fetch-site": "cross-site", "x-original-method": "GET"}
    assert (await browser.get("/auth/check", headers=showing(kept, **asked))).status_code == 204


async def test_check_takes_a_key_for_scripts(browser: httpx.AsyncClient, keys: dict[str, str]) -> None:
    key = {"authorization": f"Bearer {keys['api']}", "x-original-method": "POST"}
    response = await browser.get("/auth/check", headers=key)
    assert response.status_code == 204
    assert response.headers["x-auth-access"] == "operate"


async def test_check_refuses_a_write_key(browser: httpx.AsyncClient, keys: dict[str, str]) -> None:
    response = await browser.get("/auth/check", headers={"authorization": f"Bearer {keys['write']}"})
    assert response.status_code == 403


async def test_logged_out_session_is_over(browser: httpx.AsyncClient) -> None:
    kept = cookies(await log_in(browser, "viewer"))
    assert (await browser.get("/auth/check", headers=showing(kept, **OURS))).status_code == 204
    response = await browser.post("/logout", headers=showing(kept, **OURS))
    assert (response.status_code, response.headers["location"]) == (303, "/login")
    assert cookies(response) == {ACCESS: "", REFRESH: ""}
    assert (await browser.get("/auth/check", headers=showing(kept, **OURS))).status_code == 401


async def test_link_to_log_out_only_leads_to_the_button(browser: httpx.AsyncClient) -> None:
    kept = cookies(await log_in(browser, "viewer"))
    assert (await browser.get("/logout", headers=showing(kept))).headers["location"] == "/login"
    page = await browser.get("/login", headers=showing(kept))
    assert 'action="/logout"' in page.text
    assert "<dd>viewer</dd>" in page.text


async def test_cookies_open_no_other_route(browser: httpx.AsyncClient) -> None:
    """Only the session's own routes read them, so no page can make a browser call the API for its user."""
    kept = cookies(await log_in(browser, "admin"))
    assert (await browser.get("/v1/users/me", headers=showing(kept, **OURS))).status_code == 401


async def test_developer_of_this_machine_is_no_session(tmp_path: Path) -> None:
    settings = strict(tmp_path)
    relaxed = settings.model_copy(update={"api": settings.api.model_copy(update={"auth": Auth.DEVELOPMENT})})
    async with serving(relaxed) as http:
        assert (await http.get("/auth/check")).status_code == 401
