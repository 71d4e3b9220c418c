"""What the server refuses to start with."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.main import create_app
from api.security.startup import UnsafeConfiguration
from resources.identity.signing_keys import SigningKeys
from resources.settings import ApiSettings, Auth, Environment, IdentitySettings, Settings

GOOD_URL = "postgresql://analytics:Zk3vT9qLw2Xr@db.example/identity"


@pytest.fixture
def signing_keys(tmp_path: Path) -> Path:
    """A folder with one good key."""
    SigningKeys(tmp_path / "keys", retired_valid_s=600).ensure()
    return tmp_path / "keys"


def production(keys: Path | None, url: str | None = GOOD_URL, **api: object) -> Settings:
    return Settings(
        environment=Environment.PROD,
        api=ApiSettings.model_validate({"host": "0.0.0.0", "allowed_hosts": ("api.example",)} | api),  # noqa: S104
        identity=IdentitySettings(database_url=SecretStr(url) if url else None, signing_keys_dir=keys),
    )


def test_startup_outside_local_is_fine_with_keys_database_and_hosts(signing_keys: Path) -> None:
    assert create_app(production(signing_keys))


@pytest.mark.parametrize("environment", [Environment.STAGING, Environment.PROD])
def test_startup_outside_local_names_every_missing_setting(environment: Environment) -> None:
    with pytest.raises(UnsafeConfiguration) as refused:
        create_app(Settings(environment=environment))
    for name in ("API__ALLOWED_HOSTS", "IDENTITY__DATABASE_URL", "IDENTITY__SIGNING_KEYS_DIR"):
        assert f"ANALYTICS_{name} is missing" in str(refused.value)


def test_startup_outside_local_does_not_trust_the_own_machine(signing_keys: Path) -> None:
    with pytest.raises(UnsafeConfiguration, match="ANALYTICS_API__AUTH is development"):
        create_app(production(signing_keys, auth=Auth.DEVELOPMENT, host="127.0.0.1"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://analytics@db.example/identity", "has no password"),
        ("postgresql://analytics:short@db.example/identity", "its password has 5 characters"),
        ("postgresql://postgres:postgres@db.example/identity", "its password is a known default"),
        ("mysql://analytics:Zk3vT9qLw2Xr@db.example/identity", "only postgresql and sqlite"),
        ("nonsense", "is no database address"),
    ],
)
def test_startup_refuses_a_weak_database_password_and_never_prints_it(signing_keys: Path, url: str, said: str) -> None:
    with pytest.raises(UnsafeConfiguration, match=f"ANALYTICS_IDENTITY__DATABASE_URL.*{said}") as refused:
        create_app(production(signing_keys, url))
    assert "Zk3vT9qLw2Xr" not in str(refused.value)


def test_startup_refuses_a_folder_without_keys(tmp_path: Path) -> None:
    with pytest.raises(UnsafeConfiguration, match=r"SIGNING_KEYS_DIR.*has no key"):
        create_app(production(tmp_path))


def test_startup_refuses_a_key_that_everybody_may_read(signing_keys: Path) -> None:
    for path in signing_keys.iterdir():
        path.chmod(0o644)
    with pytest.raises(UnsafeConfiguration, match="chmod 600"):
        create_app(production(signing_keys))


def test_startup_refuses_a_key_of_another_kind(signing_keys: Path) -> None:
    # A shared secret in place of a key pair, as HMAC would take it.
    (bad,) = signing_keys.iterdir()
    bad.write_text("a shared secret")
    os.chmod(bad, 0o600)  # noqa: PTH101
    with pytest.raises(UnsafeConfiguration, match="no private key"):
        create_app(production(signing_keys))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "analytics.example", ""])  # noqa: S104
def test_startup_in_development_on_an_address_beyond_this_machine_is_refused(host: str) -> None:
    with pytest.raises(UnsafeConfiguration, match=r"ANALYTICS_API__HOST=127\.0\.0\.1"):
        create_app(Settings(api=ApiSettings(host=host)))


def test_startup_in_the_strict_mode_beyond_this_machine_wants_allowed_hosts() -> None:
    with pytest.raises(UnsafeConfiguration, match="ALLOWED_HOSTS is missing"):
        create_app(Settings(api=ApiSettings(host="192.168.1.7", auth=Auth.REQUIRED)))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_startup_on_loopback_is_fine(host: str) -> None:
    assert create_app(Settings(api=ApiSettings(host=host)))
