"""Alerts as signed JSON, for whatever a company runs its alerts with.

POST with the header `X-Analytics-Signature: t=<unix seconds>,v1=<hex>`, where v1 is the HMAC-SHA256, keyed with the
shared secret, of `<unix seconds>.<body>`. A receiver computes it from the bytes that came, compares in constant time
and refuses times that are minutes away. `Idempotency-Key` is the alert's id: it stays the same when we try again.
"""

import hashlib
import hmac
import time

import msgspec
from pydantic import SecretStr

from resources.notifier.alert import Alert
from resources.notifier.channel import DeliveryFailed
from resources.outbound import AddressRefused, OutboundClient, OutboundError, OutboundResponse

SIGNATURE = "X-Analytics-Signature"

_TRY_AGAIN = (408, 425, 429)


class WebhookChannel:
    """One address that takes alerts."""

    name = "webhook"

    def __init__(self, url: SecretStr, secret: SecretStr, client: OutboundClient) -> None:
        self._url = url
        self._secret = secret
        self._client = client

    def deliver(self, alert: Alert, timeout_s: float) -> None:
        """Post the alert; any 2xx is success."""
        body = msgspec.json.encode({"id": alert.id, **msgspec.structs.asdict(alert)})
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": alert.id,
            SIGNATURE: signature(self._secret.get_secret_value(), body, int(time.time())),
        }
        post(self._client, self._url, body, headers, timeout_s)


def signature(secret: str, body: bytes, at: int) -> str:
    """The signature header's value for a body that is sent at a Unix time."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def post(client: OutboundClient, url: SecretStr, body: bytes, headers: dict[str, str], timeout_s: float) -> None:
    """Post a body that the other side has to take with a 2xx.

    Raises:
        DeliveryFailed: it did not; finally so where the address is at fault.
    """
    try:
        answer = client.request(
            "POST", url.get_secret_value(), content=body, headers=headers, timeout_s=timeout_s, max_answer_bytes=1024
        )
    except AddressRefused as error:
        raise DeliveryFailed(str(error), is_final=True) from None
    except OutboundError as error:
        raise DeliveryFailed(str(error)) from None
    if answer.status not in range(200, 300):
        raise DeliveryFailed(_explain(answer), is_final=answer.status < 500 and answer.status not in _TRY_AGAIN)


def _explain(answer: OutboundResponse) -> str:
    # The answer's body is not repeated: it may hold what we sent.
    return f"the other side answered {answer.status} instead of 2xx"
