"""The root of the `analytics` command. Each command's module is imported only when it is called."""

import importlib
from typing import cast

import click

_COMMANDS: dict[str, str] = {
    "up": "deployments.local.commands:up",
    "status": "deployments.local.commands:status",
    "logs": "deployments.local.commands:logs",
    "down": "deployments.local.commands:down",
    "reset": "deployments.local.commands:reset",
    "config": "resources.settings.commands:config",
    "sql": "platform_assets.commands:sql",
    "lineage": "resources.lineage.commands:lineage",
    "metrics": "resources.warehouse.metric_commands:metrics",
    "quality": "resources.quality.commands:quality",
    "rejected": "resources.rejected_events.commands:rejected",
    "schemas": "resources.event_schemas.commands:schemas",
    "contract": "resources.contracts.commands:contract",
    "gateway": "deployments.gateway.commands:gateway",
    "users": "resources.identity.commands:users",
    "keys": "resources.identity.commands:keys",
    "audit": "resources.identity.commands:audit",
    "identity": "resources.identity.commands:identity",
    "alerts": "resources.notifier.commands:alerts",
    "warehouse": "resources.warehouse.rebuild_commands:warehouse",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        return cast("click.Command", getattr(importlib.import_module(module), name))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="analytics-platform")
def main() -> None:
    """Events in at the front door; tables, features, models and live predictions out."""


if __name__ == "__main__":
    main()
