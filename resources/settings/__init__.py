"""What a deployment chooses, as one typed tree read from `ANALYTICS_*` environment variables."""

from resources.settings.tree import Duties, Environment, Settings, SettingsError, load_settings

__all__ = ["Duties", "Environment", "Settings", "SettingsError", "load_settings"]
