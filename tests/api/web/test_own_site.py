"""A log-in leads nowhere else, and no other site's page acts for a user."""

import pytest
from starlette.datastructures import Headers

from api.web.own_site import came_from_here, own_page


@pytest.mark.parametrize("path", ["/", "/runs", "/assets/raw/events?view=lineage&x=%2F%2Fevil", "/runs/1#logs", "/@x"])
def test_page_of_this_host_is_kept(path: str) -> None:
    assert own_page(path) == path


@pytest.mark.parametrize(
    "path",
    [
        None, "", "runs", "https://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "/\tx",
        "\t//x", "/a\r\nSet-Cookie: x=1", "\\\\evil.example", "javascript:alert(1)", "/login", "/logout?x",
        "/ü", "/" + "a" * 3000,
    ],
)  # fmt: skip
def test_other_addresses_lead_to_the_front_page(path: str | None) -> None:
    assert own_page(path) == "/"


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://localhost:8080"}, False),
        ({"origin": "http://localhost:8080"}, True),
        ({"origin": "https://LOCALHOST:8080"}, True),
        ({"origin": "http://localhost:9090"}, False),
        ({"origin": "http://localhost:8080.evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({}, True),
    ],
)
def test_request_is_ours_by_what_the_browser_says(headers: dict[str, str], ours: bool) -> None:
    assert came_from_here(Headers({"host": "localhost:8080", **headers})) is ours
