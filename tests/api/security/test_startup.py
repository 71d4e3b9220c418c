"""What the server refuses to start with."""

import pytest

from api.main import create_app
from api.security.startup import UnsafeConfiguration
from resources.settings import ApiSettings, Environment, Settings


@pytest.mark.parametrize("environment", [Environment.STAGING, Environment.PROD])
def test_startup_outside_local_is_refused_with_a_remedy(environment: Environment) -> None:
    with pytest.raises(UnsafeConfiguration, match=r"not built in yet.*ANALYTICS_ENVIRONMENT=local"):
        create_app(Settings(environment=environment))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "analytics.example", ""])  # noqa: S104
def test_startup_on_an_address_beyond_this_machine_is_refused(host: str) -> None:
    with pytest.raises(UnsafeConfiguration, match=r"ANALYTICS_API__HOST=127\.0\.0\.1"):
        create_app(Settings(api=ApiSettings(host=host)))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_startup_on_loopback_is_fine(host: str) -> None:
    assert create_app(Settings(api=ApiSettings(host=host)))
