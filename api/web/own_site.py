"""Tells requests of our own pages from those that another site made a browser send, and our addresses from others."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers

MAX_NEXT_LENGTH = 2048


def came_from_here(headers: Headers) -> bool:
    """Whether a browser sent this from one of our own pages, or the user by hand.

    Every browser of today says where a request comes from (Sec-Fetch-Site); an older one names the page's origin. A
    client that says neither is no browser and sends no cookie that it does not mean to. Only host and port of the
    origin are compared: behind a proxy that ends TLS, the scheme is not ours to know. A page on another port of
    this host is another site here, although SameSite=Lax counts it as the same.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or _host_of(origin) == headers.get("host", "").lower()


def own_page(wanted: str | None) -> str:
    """The page to go to after the log-in: a path of this host, or the front page where it is anything else."""
    if not wanted or len(wanted) > MAX_NEXT_LENGTH or wanted[0] != "/" or wanted[1:2] == "/":
        return "/"
    # Browsers read a backslash as a slash and skip line breaks and tabs.
    if "\\" in wanted or not all("!" <= letter <= "~" for letter in wanted):
        return "/"
    path = urlsplit(wanted).path
    return "/" if path in {"/login", "/logout"} else wanted


def _host_of(origin: str) -> str:
    return urlsplit(origin).netloc.lower()
