"""The job mends rejected events by its run's configuration and shows counts."""

from typing import Any

from dagster import DagsterEventType, ExecuteInProcessResult

from platform_assets.defs.ingestion.rejected_replay import rejected_replay_job
from resources.landing_zone import LandingZone
from resources.settings import Settings
from tests.landed_records import land_rejections, rejection

BODY = '{"event_name": "bought", "source_service": "web", "payload": {"card": "4111"}, "schema_version": "1"}'
MATCH = {"event_name": "bought"}
CAST = {"do": "cast", "path": "schema_version", "to": "integer"}


def run(settings: Settings, *fixes: dict[str, Any], dry_run: bool = True) -> ExecuteInProcessResult:
    landing = LandingZone(settings.landing_dir)
    config = {"fixes": list(fixes), "dry_run": dry_run}
    return rejected_replay_job.execute_in_process(
        run_config={"ops": {"replay_rejected_events": {"config": config}}},
        resources={"landing_zone": landing, "settings": settings},
        raise_on_error=False,
    )


def shown(result: ExecuteInProcessResult) -> dict[str, Any]:
    (output,) = result.filter_events(lambda event: event.event_type is DagsterEventType.STEP_OUTPUT)
    return {name: value.value for name, value in output.step_output_data.metadata.items()}


def why(result: ExecuteInProcessResult) -> str:
    (failure,) = result.filter_events(lambda event: event.event_type is DagsterEventType.STEP_FAILURE)
    return str(failure.event_specific_data)


def test_dry_run_shows_counts_days_and_reasons_and_no_body(settings: Settings) -> None:
    odd = "Expected `int`\n[x](http://evil) | a"
    land_rejections(
        LandingZone(settings.landing_dir),
        [rejection(0, body=BODY), rejection(1, body=BODY.replace('"payload"', '"paylaod"'), reason=odd)],
    )
    found = shown(run(settings, {"match": MATCH, "steps": [CAST]}))
    assert {name: found[name] for name in ("matched", "passing", "failing", "sent", "accepted")} == {
        "matched": 2,
        "passing": 1,
        "failing": 1,
        "sent": 0,
        "accepted": 0,
    }
    assert found["touched_days"] == ["2026-01-05"]
    assert "`Expected 'int' [x](http://evil) ¦ a` | 1: `Object contains unknown field 'paylaod'`" in found["preview"]
    assert "4111" not in found["preview"]


def test_fix_that_cannot_be_read_fails_the_run_with_its_place(settings: Settings) -> None:
    result = run(settings, {"match": MATCH, "steps": [{"do": "exec"}]})
    assert not result.success
    assert "Invalid value 'exec' - at `$.fixes[0].steps[0].do`" in why(result)


def test_fix_that_matches_nothing_sends_nothing(settings: Settings) -> None:
    """There is no API here to send anything to."""
    assert shown(run(settings, {"match": MATCH}, dry_run=False))["matched"] == 0
