"""Sends rejected events again, mended by the fix in the run's configuration: `analytics rejected replay` as a job.

What it sends lands within seconds and the sensor asks for the load: of the log only the new ranges are read.
"""

from typing import Any

import duckdb
from dagster import Config, Failure, MetadataValue, OpExecutionContext, ResourceParam, in_process_executor, job, op

from platform_assets.repair.fixes import BadFix, fixes_from
from resources.landing_zone import LandingZone
from resources.rejected_events.door import DoorRefused, FrontDoor
from resources.rejected_events.replay import ReplayReport, preview, replay
from resources.settings import Settings

REJECTED_REPLAY_JOB = "rejected_replay_job"


class ReplayConfig(Config):
    """`fixes` as in a fix file. A dry run shows what would pass and sends nothing."""

    fixes: list[dict[str, Any]]
    dry_run: bool = False


@op(description="Mends the open rejections that a fix matches and sends those that pass through the front door.")
def replay_rejected_events(
    context: OpExecutionContext,
    config: ReplayConfig,
    landing_zone: ResourceParam[LandingZone],
    settings: ResourceParam[Settings],
) -> None:
    """Safe to repeat. Shows counts, never bodies."""
    try:
        fixes = fixes_from({"fixes": config.fixes})
        if config.dry_run:
            report = preview(landing_zone, settings, fixes)
        else:
            with FrontDoor(settings) as door:
                report = replay(landing_zone, settings, fixes, door)
    except BadFix as error:
        raise Failure(f"The fix cannot be read: {error}", allow_retries=False) from None
    except (DoorRefused, duckdb.Error, OSError) as error:
        raise Failure(str(error)) from error
    context.add_output_metadata(
        {
            "dry_run": config.dry_run,
            "matched": report.matched,
            "passing": report.passing,
            "failing": report.failing,
            "sent": report.sent,
            "accepted": report.accepted,
            "refused": sum(report.refused.values()),
            "touched_days": [day.isoformat() for day in sorted(report.days)],
            "preview": MetadataValue.md(_as_markdown(report)),
        }
    )


@job(
    name=REJECTED_REPLAY_JOB,
    description="Sends rejected events again, mended by the fix in the run's configuration.",
    executor_def=in_process_executor,
)
def rejected_replay_job() -> None:
    """One step; see the module."""
    replay_rejected_events()


def _as_markdown(report: ReplayReport) -> str:
    lines = ["| passes | fails | rejected because | fails still because |", "|---:|---:|---|---|"]
    for group in report.groups.values():
        failures = ", ".join(f"{count:,}: {_cell(why)}" for why, count in group.failures.most_common(3))
        lines.append(f"| {group.passing:,} | {group.failing:,} | {_cell(group.reason)} | {failures} |")
    lines += [f"\n{count:,} were refused at the door: {_cell(why)}" for why, count in report.refused.most_common()]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """A reason quotes what somebody sent: shown as code, so that nothing in it is a link or a picture."""
    plain = "".join(char if char.isprintable() else " " for char in text).replace("`", "'").replace("|", "¦")
    return f"`{plain}`"
