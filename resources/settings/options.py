"""Options that several commands share, and the settings that they lead to."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import click

from resources.settings.errors import SettingsError
from resources.settings.tree import Settings, load_settings

P = ParamSpec("P")
R = TypeVar("R")


def with_settings(command: Callable[Concatenate[Settings, P], R]) -> Callable[P, R]:
    """Give a command `--data-dir` and the settings as its first argument."""

    @click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where all state lives.  [default: $ANALYTICS_DATA_DIR or .analytics]",
    )
    @functools.wraps(command)
    def wrapped(*args: P.args, **options: P.kwargs) -> R:
        data_dir = options.pop("data_dir", None)
        if data_dir is not None:
            os.environ["ANALYTICS_DATA_DIR"] = str(data_dir)
        try:
            settings = load_settings()
        except SettingsError as error:
            raise click.ClickException(str(error)) from None
        return command(settings, *args, **options)

    return wrapped
