"""What schemathesis has to be told of this API; loaded by it, see test_schemathesis.py."""

import os
import re
import uuid
from typing import Any

import msgspec
import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: Any, value: Any) -> bytes:
    """One event a line. The document says `string`; whatever else is made up becomes a line of its own."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return msgspec.json.encode(value)


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """An empty Content-Encoding is none, whatever the document's list says."""
    return bool((case.headers or {}).get("Content-Encoding") != "")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Bodies are made up unpacked, one Idempotency-Key belongs to one body, and nobody closes their own account."""
    if (case.path_parameters or {}).get("user_id") == os.environ["OWN_ACCOUNT"]:
        case.path_parameters["user_id"] = f"usr_{0:028x}"
    headers = case.headers or {}
    if headers.get("Content-Encoding") in {"gzip", "zstd"}:
        headers["Content-Encoding"] = "identity"
    if re.fullmatch(r'"?[!#-~]{1,128}"?', str(headers.get("Idempotency-Key", ""))):
        headers["Idempotency-Key"] = uuid.uuid4().hex
