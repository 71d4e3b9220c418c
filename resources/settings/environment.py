"""Where the platform runs."""

import enum


class Environment(enum.StrEnum):
    """Where the platform runs. Everything but `local` refuses the conveniences of a laptop."""

    LOCAL = "local"
    STAGING = "staging"
    PROD = "prod"
