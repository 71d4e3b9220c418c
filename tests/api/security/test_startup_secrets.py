"""Outside local no weak secret starts the server, whatever it is for (security.md 7, 17)."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from api.main import create_app
from api.security.startup import UnsafeConfiguration
from resources.identity.signing_keys import SigningKeys
from resources.settings import ApiSettings, Environment, IdentitySettings, LimitsSettings, Settings


def production(keys: Path, storage_url: str) -> Settings:
    SigningKeys(keys, retired_valid_s=600).ensure()
    return Settings(
        environment=Environment.PROD,
        api=ApiSettings(allowed_hosts=("api.example",)),
        identity=IdentitySettings(
            database_url=SecretStr("postgresql://analytics:Zk3vT9qLw2Xr@db.example/identity"), signing_keys_dir=keys
        ),
        limits=LimitsSettings(storage_url=SecretStr(storage_url)),
    )


@pytest.mark.parametrize(
    ("password", "reason"),
    [("redis", "known default"), ("changeme", "known default"), ("x7Q", "3 characters"), ("a" * 40, "repeats")],
)
def test_a_weak_secret_stops_the_start_by_its_name_and_is_not_shown(tmp_path: Path, password: str, reason: str) -> None:
    with pytest.raises(UnsafeConfiguration, match=rf"ANALYTICS_LIMITS__STORAGE_URL: its password.*{reason}") as raised:
        create_app(production(tmp_path, f"redis://:{password}@cache.example:6379"))
    assert f":{password}@" not in str(raised.value)


@pytest.mark.parametrize("url", ["memory://", "redis://cache.example:6379/0", "rediss://:kV8tQx2mR5zLw9Pn@cache:6379"])
def test_a_strong_secret_or_none_starts(tmp_path: Path, url: str) -> None:
    assert create_app(production(tmp_path, url))
