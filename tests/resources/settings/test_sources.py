"""A setting comes from the environment, a file, a mounted secret or a provider; what is damaged is named."""

import os
from pathlib import Path

import pytest

from resources.settings import Settings, SettingsError, load_settings
from resources.settings.secrets import ask_provider
from resources.settings.sources import MAX_FILE_BYTES, gather
from resources.settings.variables import variables_of

URL = "ANALYTICS_DAGSTER__POSTGRES_URL"
SECRET = "postgresql://analytics:kV8-tQx2_mR5zLw9@db/dagster"


PROVIDERS = f"""
def provide(names):
    return {{"{URL}": "{SECRET}?from=provider", "ANALYTICS_API__PORT": "1"}}

def fail(names):
    raise RuntimeError("{SECRET}")
"""


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The name of a module with a provider that gives more than it is asked for, and one that tells a secret."""
    (tmp_path / "company_secrets.py").write_text(PROVIDERS)
    monkeypatch.syspath_prepend(tmp_path)
    return "company_secrets"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set, no provider has been asked."""
    for name in os.environ:
        if name.startswith("ANALYTICS_"):
            monkeypatch.delenv(name)
    ask_provider.cache_clear()


def url() -> str | None:
    found = load_settings().dagster.postgres_url
    return None if found is None else found.get_secret_value()


def test_a_file_that_a_variable_names_holds_the_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(SECRET + "\n")
    monkeypatch.setenv(f"{URL}_FILE", str(tmp_path / "url"))
    assert url() == SECRET


def test_a_mounted_folder_holds_values_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As Kubernetes mounts a secret: links into a folder whose name begins with dots, other people's files beside."""
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / URL).write_text(SECRET)
    (tmp_path / URL).symlink_to(tmp_path / "..data" / URL)
    (tmp_path / "other").write_text("x")
    monkeypatch.setenv("ANALYTICS_SECRETS_DIR", str(tmp_path))
    assert url() == SECRET


def test_a_provider_is_asked_for_secrets_that_nothing_else_sets(monkeypatch: pytest.MonkeyPatch, company: str) -> None:
    monkeypatch.setenv("ANALYTICS_SECRETS__PROVIDER", f"{company}:provide")
    assert url() == SECRET + "?from=provider"
    assert load_settings().api.port == 8000
    ask_provider.cache_clear()
    monkeypatch.setenv(URL, SECRET)
    assert url() == SECRET


def test_the_environment_is_stronger_than_the_folder_than_the_provider(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / URL).write_text("postgresql://from-folder")
    (tmp_path / "ANALYTICS_API__PORT").write_text("8100")
    monkeypatch.setenv("ANALYTICS_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("ANALYTICS_API__PORT", "8200")
    assert (url(), load_settings().api.port) == ("postgresql://from-folder", 8200)
    assert gather(Settings)[URL].origin == f"file {tmp_path / URL}"
    assert gather(Settings)["ANALYTICS_API__PORT"].origin == "environment"


def test_a_variable_that_is_set_twice_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(SECRET)
    monkeypatch.setenv(URL, SECRET)
    monkeypatch.setenv(f"{URL}_FILE", str(tmp_path / "url"))
    with pytest.raises(SettingsError, match=rf"{URL}: set by itself and by {URL}_FILE"):
        load_settings()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read"), (b"\xff\xfe", "is not text"), (b"x" * (MAX_FILE_BYTES + 1), "more than 65,536 bytes")],
)
def test_a_damaged_file_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "url").write_bytes(content)
    monkeypatch.setenv(f"{URL}_FILE", str(tmp_path / "url"))
    with pytest.raises(SettingsError, match=rf"{URL}_FILE: .*{reason}"):
        load_settings()


def test_a_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANALYTICS_SECRETS_DIR", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match=r"ANALYTICS_SECRETS_DIR: .*missing cannot be read"):
        load_settings()


@pytest.mark.parametrize("provider", ["no.such.module:provide", "no-such-entry-point", "json:nothing"])
def test_a_provider_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    monkeypatch.setenv("ANALYTICS_SECRETS__PROVIDER", provider)
    with pytest.raises(SettingsError, match=r"ANALYTICS_SECRETS__PROVIDER: .* could not be asked"):
        load_settings()


def test_what_a_failing_provider_says_is_not_repeated(monkeypatch: pytest.MonkeyPatch, company: str) -> None:
    monkeypatch.setenv("ANALYTICS_SECRETS__PROVIDER", f"{company}:fail")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert SECRET not in str(raised.value)


def test_every_setting_whose_name_sounds_secret_is_a_secret() -> None:
    """A password as plain text would be shown by `analytics config show` and in a traceback."""
    plain = [
        variable.name
        for variable in variables_of(Settings).values()
        if not variable.is_secret
        and any(word in variable.name for word in ("PASSWORD", "TOKEN", "DATABASE_URL", "POSTGRES_URL", "URI"))
    ]
    assert plain == []


def test_a_secret_stays_out_of_the_trees_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL, SECRET)
    monkeypatch.setenv("ANALYTICS_REGISTRY__URI", "https://mlflow:kV8-tQx2@registry")
    settings = load_settings()
    assert "kV8-tQx2" not in repr(settings) + str(settings) + settings.model_dump_json() + repr(gather(Settings))
    assert settings.registry_uri == "https://mlflow:kV8-tQx2@registry"
