"""The channel that is always there: the log."""

import logging

from resources.notifier.alert import Alert, Severity, one_line

_log = logging.getLogger("analytics.alerts")


class LogChannel:
    """One line per alert. Even the mildest is a warning: most processes show no less."""

    name = "log"

    def deliver(self, alert: Alert, timeout_s: float) -> None:
        """Write the line."""
        level = logging.ERROR if alert.severity is Severity.CRITICAL else logging.WARNING
        _log.log(
            level,
            "%s [%s] %s: %s",
            one_line(alert.title),
            alert.severity.value,
            one_line(alert.source),
            one_line(alert.body),
            extra={"alert_id": alert.id, "alert_kind": alert.kind, "link": alert.link},
        )
