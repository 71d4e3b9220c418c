"""What is wrong with the settings."""


class SettingsError(ValueError):
    """A setting has a bad value; the message names the variable and what is wrong with it, never the value."""
