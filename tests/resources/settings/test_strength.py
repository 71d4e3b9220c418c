"""Weak secrets and forgotten settings are named, without their values (security.md 7)."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from resources.settings import DagsterSettings, Environment, LimitsSettings, Settings
from resources.settings.strength import missing_settings, weak_secrets, weakness_of


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("changeme", "known default"),
        ("Change-Me", "known default"),
        ("PASSWORD123!", "known default"),
        ("your-secret-key", "known default"),
        ("kV8tQx2mR5zLw9Pn", "16 characters"),
        ("a" * 64, "repeats"),
        ("abababababababababababababababababab", "repeats"),
        ("passwordpasswordpasswordpassword", "repeats"),
        ("postgresql://app:postgres@db/analytics", "its password is a known default"),
        ("postgresql://app:kV8tQx2@db/analytics", "its password has 7 characters"),
        ("redis://:aaaaaaaaaaaaaaaaaaaa@cache", "its password repeats"),
        ("redis://:@cache", "its password is empty"),
        ("https://user:change%2Dme@host", "its password is a known default"),
        ("https://[bad", "is no address"),
    ],
)
def test_a_weak_secret_is_called_weak(secret: str, reason: str) -> None:
    assert reason in (weakness_of(secret) or "fine")


@pytest.mark.parametrize(
    "secret", ["postgresql://app@db/analytics", "memory://", "sqlite:////data/identity.sqlite", "redis://cache:6379/0"]
)
def test_an_address_without_a_password_is_not_weak(secret: str) -> None:
    """Certificates, peer authentication and files need none."""
    assert weakness_of(secret) is None


@given(st.integers(0, 2**256 - 1))
def test_random_keys_are_strong(number: int) -> None:
    key = secrets.token_hex(32) if number % 2 else secrets.token_urlsafe(32)
    assert weakness_of(key) is None
    assert weakness_of(f"postgresql://app:{key[:32]}@db/analytics") is None


def test_weak_secrets_of_the_tree_are_named_without_their_values() -> None:
    settings = Settings(
        dagster=DagsterSettings(postgres_url=SecretStr("postgresql://dagster:hunter2@db/dagster")),
        limits=LimitsSettings(storage_url=SecretStr("redis://:redis@cache:6379")),
    )
    found = weak_secrets(settings)
    assert [weakness.variable for weakness in found] == [
        "ANALYTICS_DAGSTER__POSTGRES_URL",
        "ANALYTICS_LIMITS__STORAGE_URL",
    ]
    assert "hunter2" not in str(found)


def test_defaults_are_not_weak() -> None:
    assert weak_secrets(Settings()) == []


def test_a_deployment_has_to_choose_what_a_laptop_need_not() -> None:
    assert missing_settings(Settings()) == []
    missing = {weakness.variable for weakness in missing_settings(Settings(environment=Environment.PROD))}
    assert {"ANALYTICS_IDENTITY__DATABASE_URL", "ANALYTICS_API__ALLOWED_HOSTS"} <= missing
