"""Where the values of settings come from, the strongest first:

1. the environment variable itself;
2. `<VARIABLE>_FILE`, which names a file that holds the value (Docker's convention);
3. a file named like the variable in the folder `ANALYTICS_SECRETS_DIR` (a mounted Kubernetes secret);
4. the provider of secrets (`ANALYTICS_SECRETS__PROVIDER`), for secrets only.

A variable that is set in the environment and by its `_FILE` is an error: one of the two would silently be wrong.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel
from pydantic_settings import EnvSettingsSource

from resources.settings.errors import SettingsError
from resources.settings.secrets import ask_provider
from resources.settings.variables import PREFIX, Variable, variables_of

FILE_SUFFIX = "_FILE"
SECRETS_DIR = PREFIX + "SECRETS_DIR"
PROVIDER = PREFIX + "SECRETS__PROVIDER"
MAX_FILE_BYTES = 65_536


@dataclass(frozen=True)
class Given:
    """A value and who gave it; the value is not shown."""

    value: str
    origin: str

    def __repr__(self) -> str:
        return f"Given(from {self.origin})"


def gather(tree: type[BaseModel], environment: Mapping[str, str] | None = None) -> dict[str, Given]:
    """Every `ANALYTICS_…` value that is set somewhere, by its variable's name; unknown names too.

    Raises:
        SettingsError: a file cannot be read, a variable is set twice, or the provider fails.
    """
    environment = os.environ if environment is None else environment
    known = variables_of(tree)
    given: dict[str, Given] = {}
    for name, value in environment.items():
        variable = name.upper()
        if variable.startswith(PREFIX) and variable != SECRETS_DIR and not _names_a_file(variable, known):
            given[variable] = Given(value, "environment")
    for name, value in environment.items():
        variable = name.upper()
        if _names_a_file(variable, known):
            target = variable.removesuffix(FILE_SUFFIX)
            if target in given:
                raise SettingsError(f"{target}: set by itself and by {variable}; leave one of them out")
            given[target] = Given(_read(Path(value), variable), f"file {value}")
    folder = environment.get(SECRETS_DIR)
    if folder:
        given = _in_folder(Path(folder)) | given
    if PROVIDER in given:
        asked = tuple(name for name, variable in known.items() if variable.is_secret and name not in given)
        provider = given[PROVIDER].value
        answered = ask_provider(provider, asked)
        given |= {name: Given(answered[name], f"provider {provider}") for name in asked if name in answered}
    return given


class GatheredSource(EnvSettingsSource):
    """Hands pydantic-settings what was gathered, as if all of it had come from the environment."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        # Its names are lower case where the settings are not case sensitive.
        return {name.lower(): given.value for name, given in gather(self.settings_cls).items()}


def _names_a_file(variable: str, known: Mapping[str, Variable]) -> bool:
    return variable.endswith(FILE_SUFFIX) and variable.removesuffix(FILE_SUFFIX) in known


def _in_folder(folder: Path) -> dict[str, Given]:
    try:
        files = sorted(path for path in folder.iterdir() if path.name.upper().startswith(PREFIX) and path.is_file())
    except OSError as error:
        raise SettingsError(f"{SECRETS_DIR}: {folder} cannot be read ({error.strerror})") from None
    return {path.name.upper(): Given(_read(path, SECRETS_DIR), f"file {path}") for path in files}


def _read(path: Path, variable: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        text = content.decode()
    except OSError as error:
        raise SettingsError(f"{variable}: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{variable}: {path} is not text") from None
    if len(content) > MAX_FILE_BYTES:
        raise SettingsError(f"{variable}: {path} has more than {MAX_FILE_BYTES:,} bytes; it cannot be a setting")
    return text.rstrip("\r\n")  # editors end a file with a line break
