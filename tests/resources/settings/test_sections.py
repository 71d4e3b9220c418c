"""Values that a section does not take, named by their variable."""

import pytest

from resources.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ANALYTICS_LIMITS__STORAGE_URL", "redis://cache"),
        ("ANALYTICS_LIMITS__STORAGE_URL", "memcached://cache:11211"),
        ("ANALYTICS_LIMITS__STORAGE_URL", "memory://x"),
        ("ANALYTICS_LIMITS__REQUESTS_PER_MINUTE", "0"),
        ("ANALYTICS_API__TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("ANALYTICS_API__TRUSTED_PROXIES", "10.0.0.1/8"),
        ("ANALYTICS_API__CORS_ORIGINS", "*"),
        ("ANALYTICS_API__CORS_ORIGINS", "https://shop.example/"),
        ("ANALYTICS_API__CORS_ORIGINS", "shop.example"),
        ("ANALYTICS_API__HSTS_MAX_AGE_S", "-1"),
    ],
)
def test_a_value_that_would_not_do_what_it_seems_to_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable):
        load_settings()


@pytest.mark.parametrize("url", ["memory://", "redis://cache:6379", "rediss://user:secret@[::1]:6380/1?timeout=1"])
def test_places_to_count_in_are_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ANALYTICS_LIMITS__STORAGE_URL", url)
    limits = load_settings().limits
    assert limits.storage_url.get_secret_value() == url
    assert limits.is_shared is (url != "memory://")


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_API__TRUSTED_PROXIES", "10.0.0.0/8, ::1 ,")
    assert load_settings().api.trusted_proxies == ("10.0.0.0/8", "::1")
