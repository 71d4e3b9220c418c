"""What an attacker must not manage with tokens: security.md 1 to 9. Each is refused with 401, logged and audited."""

import base64
import hashlib
import hmac
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from platform_assets.contracts.access import Role
from resources.identity.access_tokens import ACCESS_TOKEN_S, LEEWAY_S
from resources.identity.actor import SYSTEM
from resources.identity.principals import CACHE_S
from resources.identity.service import Identity
from tests.api.security.conftest import Door

pytestmark = pytest.mark.asyncio(loop_scope="module")
Forge = Callable[..., str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forge(shared_door: Door) -> AsyncIterator[Forge]:
    """Makes tokens as ours are made, with whatever a test changes; a None leaves a claim or header out."""
    log_in = shared_door.log_ins[Role.ADMIN]
    genuine = jwt.decode(log_in.access_token, options={"verify_signature": False})
    kid, private = shared_door.identity.signing_keys.active()

    def make(claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None, key: Any = private) -> str:
        now = int(time.time())
        content = genuine | {"iat": now, "nbf": now, "exp": now + ACCESS_TOKEN_S} | (claims or {})
        head = {"kid": kid, "typ": "at+jwt"} | (header or {})
        head = {name: value for name, value in head.items() if value is not None}
        content = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(content, key, algorithm=head.get("alg", "EdDSA"), headers=head)

    yield make


@pytest.fixture
def refused(shared_door: Door, caplog: pytest.LogCaptureFixture) -> Callable[..., Any]:
    """Asks with a token that must be refused, and looks that the log and the audit log have it, without the token."""

    async def ask(token: str, *, cause: str, door: Door = shared_door) -> None:
        caplog.set_level(logging.WARNING)
        caplog.clear()
        door.identity.audit._windows.clear()  # the bound on audit entries is another test's subject
        before = len(await door.audited("access"))
        for path in ("/v1/users/me", "/health"):
            response = await door.http.get(path, headers={"Authorization": f"Bearer {token}"})
            assert response.status_code == 401, response.text
            assert token not in response.text
        lines = [vars(record) for record in caplog.records if record.message == "Caller refused"]
        assert cause in lines[0]["reason"]
        assert (lines[0]["client"], lines[0]["status"]) == ("192.0.2.7", 401)
        entries = (await door.audited("access"))[before:]
        assert cause in entries[0]["cause"]
        assert (entries[0]["actor"], entries[0]["status"], entries[0]["address"]) == ("anonymous", 401, "192.0.2.7")
        assert token not in str(lines) + str(entries)

    return ask


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


async def test_a_token_made_like_ours_is_accepted(shared_door: Door, forge: Forge) -> None:
    """Otherwise the refusals below would prove nothing."""
    response = await shared_door.http.get("/v1/users/me", headers={"Authorization": f"Bearer {forge()}"})
    assert response.json()["data"]["role"] == "admin"


async def test_a_token_without_a_signature_is_refused(forge: Forge, refused: Any) -> None:
    head, content, _ = forge().split(".")
    await refused(f"{head}.{content}.", cause="InvalidSignatureError")
    await refused(f"{head}.{content}", cause="DecodeError")


async def test_a_token_whose_claims_were_changed_is_refused(forge: Forge, refused: Any) -> None:
    head, _, signature = forge().split(".")
    _, other, _ = forge({"sub": "usr_0"}).split(".")
    await refused(f"{head}.{other}.{signature}", cause="InvalidSignatureError")


async def test_a_token_of_another_signer_is_refused(forge: Forge, refused: Any) -> None:
    await refused(forge(key=Ed25519PrivateKey.generate()), cause="InvalidSignatureError")


@pytest.mark.parametrize("none", ["none", "None", "NONE", "nOnE"])
async def test_alg_none_is_refused(forge: Forge, refused: Any, none: str) -> None:
    head, content, _ = forge().split(".")
    changed = json.loads(base64.urlsafe_b64decode(head + "==")) | {"alg": none}
    await refused(f"{encoded(changed)}.{content}.", cause="the header has other members")


async def test_an_hmac_with_our_public_key_is_refused(shared_door: Door, forge: Forge, refused: Any) -> None:
    """The RS→HS confusion: the verifier's public key, used as the secret of an HMAC."""
    kid, private = shared_door.identity.signing_keys.active()
    public = private.public_key()
    forms = [
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw),
    ]
    _, content, _ = forge().split(".")
    head = encoded({"alg": "HS256", "typ": "at+jwt", "kid": kid})
    for secret in forms:
        signature = hmac.new(secret, f"{head}.{content}".encode(), hashlib.sha256).digest()
        signed = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
        await refused(f"{head}.{content}.{signed}", cause="the header has other members")


async def test_an_rsa_signature_is_refused(forge: Forge, refused: Any) -> None:
    token = forge(header={"alg": "RS256"}, key=generate_private_key(65537, 2048))
    await refused(token, cause="the header has other members")


@pytest.mark.parametrize(
    "injected",
    [
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert.pem"},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}},
        {"x5c": ["MIIB"]},
    ],
)
async def test_keys_that_a_token_brings_along_are_refused(forge: Forge, refused: Any, injected: dict[str, Any]) -> None:
    await refused(forge(header=injected, key=Ed25519PrivateKey.generate()), cause="the header has other members")
    # Even with a good signature: a header that we never write is not ours.
    await refused(forge(header=injected), cause="the header has other members")


@pytest.mark.parametrize(
    "kid", ["../../../../etc/passwd", "/dev/null", "' OR '1'='1", "unknown", "", "a" * 2000, "x\r\nX-Evil: 1", "%00"]
)
async def test_a_kid_names_one_of_our_keys_and_nothing_else(forge: Forge, refused: Any, kid: str) -> None:
    await refused(forge(header={"kid": kid}, key=Ed25519PrivateKey.generate()), cause="unknown kid")


async def test_a_token_with_critical_extensions_is_refused(forge: Forge, refused: Any) -> None:
    await refused(forge(header={"crit": ["exp"]}), cause="Unsupported critical extension")


async def test_a_token_without_a_kid_is_refused(forge: Forge, refused: Any) -> None:
    await refused(forge(header={"kid": None}), cause="the header has other members")


async def test_an_expired_token_is_refused_after_the_leeway_and_says_what_to_do(
    shared_door: Door, forge: Forge, refused: Any
) -> None:
    now = int(time.time())
    within = forge({"iat": now - 300, "nbf": now - 300, "exp": now - LEEWAY_S + 10})
    response = await shared_door.http.get("/v1/users/me", headers={"Authorization": f"Bearer {within}"})
    assert response.status_code == 200
    beyond = forge({"iat": now - 300, "nbf": now - 300, "exp": now - LEEWAY_S - 5})
    await refused(beyond, cause="expired")
    told = (await shared_door.http.get("/health", headers={"Authorization": f"Bearer {beyond}"})).json()["detail"]
    assert "/v1/tokens/refresh" in told


async def test_a_token_that_is_not_valid_yet_is_refused(forge: Forge, refused: Any) -> None:
    now = int(time.time())
    await refused(forge({"nbf": now + LEEWAY_S + 60}), cause="ImmatureSignatureError")
    await refused(forge({"iat": now + LEEWAY_S + 60, "exp": now + 600}), cause="ImmatureSignatureError")


async def test_a_token_for_longer_than_ours_is_refused(forge: Forge, refused: Any) -> None:
    await refused(forge({"exp": int(time.time()) + 10 * ACCESS_TOKEN_S}), cause="longer than we issue")


@pytest.mark.parametrize(
    ("claims", "cause"),
    [
        ({"aud": "another-api"}, "InvalidAudienceError"),
        ({"aud": ["analytics-api", "another-api"]}, "InvalidAudienceError"),
        ({"iss": "urn:analytics:prod"}, "InvalidIssuerError"),
        *(({name: None}, "MissingRequiredClaimError") for name in ("aud", "iss", "sub", "jti", "sid", "exp", "nbf")),
    ],
)
async def test_audience_issuer_and_the_other_claims_are_required(
    forge: Forge, refused: Any, claims: dict[str, Any], cause: str
) -> None:
    await refused(forge(claims), cause=cause)


@pytest.mark.parametrize("kind", ["JWT", "rt+jwt", "id+jwt", None])
async def test_a_token_of_another_type_is_refused(forge: Forge, refused: Any, kind: str | None) -> None:
    await refused(forge(header={"typ": kind}), cause="the header has other members")


async def test_a_refresh_token_is_no_access_token(shared_door: Door, refused: Any) -> None:
    await refused(shared_door.log_ins[Role.ADMIN].refresh_token, cause="DecodeError")


async def test_an_access_token_is_no_refresh_token(shared_door: Door) -> None:
    token = shared_door.log_ins[Role.VIEWER].access_token
    response = await shared_door.http.post("/v1/tokens/refresh", json={"refresh_token": token[:128]})
    assert response.status_code == 401


async def test_a_token_of_an_unknown_log_in_or_another_user_is_refused(
    shared_door: Door, forge: Forge, refused: Any
) -> None:
    await refused(forge({"sid": "log_0"}), cause="its log-in is unknown")
    await refused(forge({"sub": shared_door.users[Role.VIEWER].id}), cause="closed or another")


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "e30.e30.", "\xff" * 20, "ey" + "J" * 5000, "ak_", "wk_" + "a" * 43, "rt_x"]
)
async def test_what_is_no_token_at_all_is_refused(shared_door: Door, token: str) -> None:
    response = await shared_door.http.get("/health", headers={b"Authorization": f"Bearer {token}".encode("latin-1")})
    assert response.status_code == 401


@pytest.mark.asyncio(loop_scope="function")
async def test_a_revoked_log_in_key_user_and_role_lose_access_within_five_seconds(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another process than the one where it was changed: here a second identity on the same database."""
    viewer, analyst, engineer = (door.bearer(role) for role in (Role.VIEWER, Role.ANALYST, Role.ENGINEER))
    key = {"X-API-Key": door.keys["write"]}
    # The first answers are remembered …
    for headers in (viewer, analyst, engineer):
        assert (await door.http.get("/v1/users/me", headers=headers)).status_code == 200
    assert (await door.http.get("/health", headers=key)).status_code == 200
    # … then everything is taken away elsewhere.
    other = Identity(door.settings)
    await other.start()
    await other.log_ins.end(door.log_ins[Role.VIEWER].refresh_token, SYSTEM)
    await other.users.change(door.users[Role.ANALYST].id, SYSTEM, is_active=False)
    await other.users.change(door.users[Role.ENGINEER].id, SYSTEM, role=Role.VIEWER)
    (_, write) = await other.keys.page(None, 10, owner_id=None)
    await other.keys.revoke(write.id, SYSTEM, owner_id=None)
    await other.stop()

    monkeypatch.setattr("resources.identity.principals.monotonic", lambda: time.monotonic() + CACHE_S)
    assert (await door.http.get("/v1/users/me", headers=viewer)).status_code == 401
    assert (await door.http.get("/v1/users/me", headers=analyst)).status_code == 401
    assert (await door.http.get("/v1/users/me", headers=engineer)).json()["data"]["role"] == "viewer"
    assert (await door.http.get("/health", headers=key)).status_code == 401


@pytest.mark.asyncio(loop_scope="function")
async def test_what_is_revoked_here_is_over_at_once(door: Door) -> None:
    headers = door.bearer(Role.VIEWER)
    assert (await door.http.get("/v1/users/me", headers=headers)).status_code == 200
    revoked = await door.http.post("/v1/tokens/revoke", json={"refresh_token": door.log_ins[Role.VIEWER].refresh_token})
    assert revoked.status_code == 200
    assert (await door.http.get("/v1/users/me", headers=headers)).status_code == 401


@pytest.mark.asyncio(loop_scope="function")
async def test_after_a_rotation_both_keys_verify_and_only_the_new_one_signs(door: Door) -> None:
    old = door.bearer(Role.ADMIN)
    old_kid = jwt.get_unverified_header(door.log_ins[Role.ADMIN].access_token)["kid"]
    new_kid = door.identity.signing_keys.rotate()
    published = (await door.http.get("/.well-known/jwks.json")).json()["keys"]
    assert {key["kid"] for key in published} == {old_kid, new_kid}
    assert all("d" not in key for key in published)
    pair = await door.http.post("/v1/tokens/refresh", json={"refresh_token": door.log_ins[Role.ADMIN].refresh_token})
    fresh = pair.json()["data"]["access_token"]
    assert jwt.get_unverified_header(fresh)["kid"] == new_kid
    door.identity.principals.forget()
    for headers in (old, {"Authorization": f"Bearer {fresh}"}):
        assert (await door.http.get("/v1/users/me", headers=headers)).status_code == 200
    # Others verify with nothing but the published keys.
    (key,) = [key for key in published if key["kid"] == new_kid]
    verified = jwt.decode(
        fresh, jwt.PyJWK(key).key, algorithms=["EdDSA"], audience="analytics-api", issuer="urn:analytics:local"
    )
    assert verified["sub"] == door.users[Role.ADMIN].id


@pytest.mark.asyncio(loop_scope="function")
async def test_a_rotated_key_verifies_no_more_once_its_tokens_have_expired(door: Door) -> None:
    old = door.bearer(Role.ADMIN)
    door.identity.signing_keys.rotate()
    (retired,) = door.settings.signing_keys_dir.glob("*.pub.pem")
    long_ago = time.time() - ACCESS_TOKEN_S - LEEWAY_S - 1
    os.utime(retired, (long_ago, long_ago))
    door.identity.principals.forget()
    assert (await door.http.get("/v1/users/me", headers=old)).status_code == 401
    assert len((await door.http.get("/.well-known/jwks.json")).json()["keys"]) == 1
