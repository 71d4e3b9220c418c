"""Starts the scorer as a process: `python -m streaming scorer`."""

import logging

from resources.settings import Settings
from streaming.worker import check_port, execute, wait_for_topics


def run_scorer(settings: Settings) -> None:
    """Score with the promoted champions until a signal or an error; does not return.

    Raises:
        CannotStart: the broker does not answer within 30 s, or the web port is taken.
        SystemExit: 0 after SIGTERM or SIGINT, 1 after an error.
    """
    logging.getLogger("resources.champions").setLevel(logging.INFO)
    check_port(settings.streaming.scorer_web_port, "ANALYTICS_STREAMING__SCORER_WEB_PORT")
    wait_for_topics(settings.kafka.address)
    # Imported once there is a broker: half a second of Faust.
    from streaming.scoring.app import create_scorer
    from streaming.scoring.models import PromotedModels

    execute(create_scorer(settings, PromotedModels(settings.models_dir)), settings.root / "scorer")
