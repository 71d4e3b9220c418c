"""Tells people what is wrong: in the log, by webhook, in Slack, by mail; each thing once, and again when it is over."""

from resources.notifier.alert import Alert, Severity
from resources.notifier.configured import notifier_of
from resources.notifier.notifier import Notifier, Report
from resources.notifier.outbox import Fate

__all__ = ["Alert", "Fate", "Notifier", "Report", "Severity", "notifier_of"]
