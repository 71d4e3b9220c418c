"""The file that the first start leaves, and the one time that it is shown. Imports nothing that takes time."""

import os
from pathlib import Path

from resources.settings import Settings

_FILE = "first-credentials.txt"
_ANNOUNCED = "first-credentials-announced"


def first_credentials_file(settings: Settings) -> Path:
    """Its owner alone may read it, and may delete it."""
    return settings.identity_dir / _FILE


def write_first_credentials(settings: Settings, *, user_name: str, password: str, write_key: str) -> None:
    """Keep what was made, for the owner's eyes."""
    path = first_credentials_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)  # a start that was cut short may have left one
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"user name   {user_name}\npassword    {password}\nwrite key   {write_key}\n")


def announce_first_credentials(settings: Settings) -> str | None:
    """What the first start made, once: None the second time, or where nothing was made."""
    announced = settings.state_dir / _ANNOUNCED
    file = first_credentials_file(settings)
    if announced.exists() or not file.exists():
        return None
    announced.parent.mkdir(parents=True, exist_ok=True)
    announced.touch()
    return file.read_text()
