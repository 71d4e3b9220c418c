"""The keys that sign access tokens: one Ed25519 key a file, its name is the `kid`.

`<kid>.pem` holds a private key, readable by its owner alone; the last by name signs, and every one of them verifies.
`<kid>.pub.pem` is what rotation leaves of a key: it verifies for as long as a token that it signed can be valid. The
folder is looked at again once a second, so that processes and mounted secrets follow a rotation without a restart.
"""

import datetime as dt
import os
import re
import secrets
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LOOK_AGAIN_S = 1.0
_PRIVATE, _PUBLIC = ".pem", ".pub.pem"
_KID = re.compile(r"[A-Za-z0-9-]{1,64}\Z")


class SigningKeysUnusable(RuntimeError):
    """The folder cannot serve; `str()` names the file or folder and the remedy."""


@dataclass(frozen=True)
class _Keys:
    active: str
    private: dict[str, Ed25519PrivateKey]
    public: dict[str, Ed25519PublicKey]


class SigningKeys:
    """A folder of keys. `retired_valid_s` is for how long after a rotation the old key's tokens can be valid."""

    def __init__(self, folder: Path, *, retired_valid_s: float) -> None:
        self._folder = folder
        self._retired_valid_s = retired_valid_s
        self._looked = float("-inf")
        self._seen: object = None
        self._keys: _Keys | None = None

    def ensure(self) -> None:
        """Make a first key where the folder has none."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._private_files():
            self._create()

    def active(self) -> tuple[str, Ed25519PrivateKey]:
        """The kid and key that sign now.

        Raises:
            SigningKeysUnusable: no key, or one that cannot be read.
        """
        keys = self._current()
        return keys.active, keys.private[keys.active]

    def public(self, kid: str) -> Ed25519PublicKey | None:
        """The key that verifies under this name; names that the folder does not have are never used as paths."""
        return self._current().public.get(kid)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JWK Set (RFC 7517, RFC 8037)."""
        return {
            "keys": [
                {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": _x(key)}
                for kid, key in sorted(self._current().public.items())
            ]
        }

    def rotate(self) -> str:
        """Sign with a new key from now on; the old ones only verify, until their last token has expired.

        Raises:
            SigningKeysUnusable: the folder cannot be written, as where it is a mounted secret.
        """
        old = self._private_files()
        kid = self._create()
        for path in old:
            key = _load_private(path)
            public = path.with_name(path.name.removesuffix(_PRIVATE) + _PUBLIC)
            public.write_bytes(
                key.public_key().public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
                )
            )
            path.unlink()
        for path in self._folder.glob(f"*{_PUBLIC}"):
            if self._is_over(path):
                path.unlink()
        self._looked = float("-inf")
        return kid

    def check(self) -> None:
        """Look at the folder as the server will.

        Raises:
            SigningKeysUnusable: no key, one that is no Ed25519 key, or one that everybody may read.
        """
        self._load()

    def _create(self) -> str:
        newest = max((path.name for path in self._private_files()), default="")
        kid = f"{dt.datetime.now(dt.UTC):%Y%m%dt%H%M%S%f}-{secrets.token_hex(3)}"
        if f"{kid}{_PRIVATE}" <= newest:
            raise SigningKeysUnusable(f"{self._folder} has a key {newest} that sorts after {kid}; name it otherwise.")
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        # Under another name first: a process that looks meanwhile must not find half a key.
        temporary = self._folder / f".{kid}.tmp"
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(pem)
        except OSError as error:
            raise SigningKeysUnusable(
                f"{self._folder} cannot be written ({error.strerror}). Where it is a mounted secret, add the new key "
                "to the secret instead: the last by name signs."
            ) from error
        temporary.rename(self._folder / f"{kid}{_PRIVATE}")
        return kid

    def _current(self) -> _Keys:
        now = time.monotonic()
        if self._keys is None or now - self._looked >= LOOK_AGAIN_S:
            seen = [(path.name, path.stat().st_mtime_ns) for path in self._files() if not self._is_over(path)]
            if self._keys is None or seen != self._seen:
                self._keys, self._seen = self._load(), seen
            self._looked = now
        return self._keys

    def _load(self) -> _Keys:
        private = {path.name.removesuffix(_PRIVATE): _load_private(path) for path in self._private_files()}
        if not private:
            raise SigningKeysUnusable(
                f"{self._folder} has no key <kid>.pem. `analytics keys rotate-signing` makes one in the folder that "
                "ANALYTICS_IDENTITY__SIGNING_KEYS_DIR names; so does `openssl genpkey -algorithm ed25519`."
            )
        public = {kid: key.public_key() for kid, key in private.items()}
        for path in self._files():
            if path.name.endswith(_PUBLIC) and not self._is_over(path):
                public.setdefault(path.name.removesuffix(_PUBLIC), _load_public(path))
        return _Keys(max(private), private, public)

    def _is_over(self, path: Path) -> bool:
        return path.name.endswith(_PUBLIC) and time.time() - path.stat().st_mtime > self._retired_valid_s

    def _private_files(self) -> list[Path]:
        return [path for path in self._files() if not path.name.endswith(_PUBLIC)]

    def _files(self) -> list[Path]:
        return sorted(
            path
            for path in self._folder.glob(f"*{_PRIVATE}")
            if _KID.match(path.name.removesuffix(_PRIVATE).removesuffix(".pub"))
        )


def _load_private(path: Path) -> Ed25519PrivateKey:
    try:
        if path.stat().st_mode & 0o007:
            raise SigningKeysUnusable(f"{path} can be read by everybody on this machine; chmod 600 it.")
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SigningKeysUnusable(f"{path} is no private key that can be read: {type(error).__name__}.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeysUnusable(f"{path} is no Ed25519 key; `openssl genpkey -algorithm ed25519` makes one.")
    return key


def _load_public(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise SigningKeysUnusable(f"{path} is no public key that can be read: {type(error).__name__}.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SigningKeysUnusable(f"{path} is no Ed25519 key.")
    return key


def _x(key: Ed25519PublicKey) -> str:
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
