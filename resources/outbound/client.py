"""One request to an address that a setting or a user named. Redirects are never followed; proxies are not used."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import httpcore
import httpx

from resources.outbound.network import CheckedNetwork, Deadline, Resolve, look_up
from resources.outbound.policy import AddressRefused, OutboundError, OutboundPolicy

MAX_ANSWER_BYTES = 65_536

_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")


@dataclass(frozen=True)
class OutboundResponse:
    """An answer. `body` is its beginning, at most as long as was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class OutboundClient:
    """Sends requests as a policy allows.

    Args:
        policy: of the environment.
        tls: whom to trust; default: the public authorities, or those in the file that SSL_CERT_FILE names.
        resolve: how names become addresses.
    """

    def __init__(
        self, policy: OutboundPolicy, *, tls: ssl.SSLContext | None = None, resolve: Resolve = look_up
    ) -> None:
        self._policy = policy
        self._tls = tls
        self._resolve = resolve

    def request(
        self,
        method: str,
        url: str,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> OutboundResponse:
        """Send one request; `timeout_s` is for all of it, from the look-up of the name to the last byte.

        Raises:
            AddressRefused: the address is none of ours to call, or it redirects.
            OutboundError: nobody answered properly in time.
        """
        target = _parse(url)
        self._policy.check_scheme(target.scheme)
        deadline = Deadline(timeout_s)
        if self._tls is None:
            self._tls = httpx.create_ssl_context()
        network = CheckedNetwork(self._policy, deadline, self._resolve)
        host = target.netloc.decode("ascii")
        try:
            with (
                httpcore.ConnectionPool(self._tls, network_backend=network, retries=0) as pool,
                pool.stream(
                    method,
                    httpcore.URL(
                        scheme=target.raw_scheme,
                        host=target.raw_host,
                        port=target.port,
                        target=target.raw_path,
                    ),
                    headers=[("User-Agent", "analytics-platform"), *(headers or {}).items()],
                    content=content,
                ) as answer,
            ):
                if answer.status in range(300, 400):
                    raise AddressRefused(f"{host} redirects ({answer.status}), which is not followed; name the target")
                body = b""
                for part in answer.iter_stream():
                    body += part
                    if len(body) >= max_answer_bytes:
                        break
                received = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
                return OutboundResponse(answer.status, received, body[:max_answer_bytes])
        except httpcore.TimeoutException:
            raise OutboundError(f"{host} did not answer within {timeout_s:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as error:
            raise OutboundError(f"{host} could not be asked ({type(error).__name__}: {error})") from None


def _parse(url: str) -> httpx.URL:
    """The one reading of an address: what is checked and what is called cannot differ."""
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL:
        raise AddressRefused("The address is none") from None
    if not _HOST.fullmatch(target.raw_host.decode("ascii")):
        raise AddressRefused("The address names no host")
    if target.userinfo:
        raise AddressRefused(f"The address of {target.host} holds a user, which is never sent; leave it out")
    return target
