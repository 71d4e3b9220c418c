"""What is made because of what happened before it: once a change, at once or in the morning, never the first time."""

import datetime as dt
from collections.abc import Iterator

import pytest
from dagster import AssetKey, AssetMaterialization, DagsterInstance, evaluate_automation_conditions

from platform_assets.definitions import defs
from platform_assets.defs.features.customer_activity import CUSTOMER_ACTIVITY_KEY
from platform_assets.defs.models.churn import CHURN_MODEL
from platform_assets.defs.serving.churn_model import SERVED_CHURN_MODEL
from platform_assets.defs.serving.customer_activity import ONLINE_CUSTOMER_ACTIVITY
from platform_assets.defs.stages import Stage

ORDERS = Stage.MARTS.key("fct_orders")
NIGHT = dt.datetime(2026, 1, 6, 8, tzinfo=dt.UTC)  # 03:00 in New York
MORNING = dt.datetime(2026, 1, 6, 12, tzinfo=dt.UTC)


class Automation:
    """The sensor's evaluations over one instance."""

    def __init__(self, instance: DagsterInstance) -> None:
        self.instance = instance
        self._cursor = evaluate_automation_conditions(defs, instance, evaluation_time=NIGHT).cursor

    def make(self, *keys: AssetKey, partition: str | None = None) -> None:
        for key in keys:
            self.instance.report_runless_asset_event(AssetMaterialization(key, partition=partition))

    def asked(self, at: dt.datetime) -> set[AssetKey]:
        """What one evaluation asks for."""
        result = evaluate_automation_conditions(defs, self.instance, cursor=self._cursor, evaluation_time=at)
        self._cursor = result.cursor
        return {found.key for found in result.results if found.true_subset.size}


@pytest.fixture
def automation() -> Iterator[Automation]:
    with DagsterInstance.ephemeral() as instance:
        yield Automation(instance)


@pytest.fixture
def served(automation: Automation) -> Automation:
    """After the first churn_job: everything was made once, and a night without news has passed."""
    automation.make(ORDERS, partition="2026-01-05")
    automation.make(CUSTOMER_ACTIVITY_KEY, CHURN_MODEL, ONLINE_CUSTOMER_ACTIVITY, SERVED_CHURN_MODEL)
    automation.asked(NIGHT)
    # What a job made in one run is not asked for again; reported one by one, it settles with one more look.
    automation.make(ONLINE_CUSTOMER_ACTIVITY, SERVED_CHURN_MODEL)
    automation.asked(NIGHT)
    return automation


def test_nothing_is_made_for_the_first_time(automation: Automation) -> None:
    automation.make(ORDERS, partition="2026-01-05")
    assert automation.asked(MORNING) == set()
    automation.make(CUSTOMER_ACTIVITY_KEY, CHURN_MODEL)
    assert automation.asked(MORNING + dt.timedelta(minutes=1)) == set()


def test_new_orders_wait_for_the_morning_and_then_reach_the_online_features_in_one_go(served: Automation) -> None:
    served.make(ORDERS, partition="2026-01-06")
    assert served.asked(NIGHT + dt.timedelta(minutes=1)) == set()
    assert served.asked(MORNING) == {CUSTOMER_ACTIVITY_KEY, ONLINE_CUSTOMER_ACTIVITY}
    assert served.asked(MORNING + dt.timedelta(minutes=1)) == set()


def test_morning_without_news_asks_for_nothing(served: Automation) -> None:
    assert served.asked(MORNING) == set()


def test_model_that_was_trained_by_hand_is_served_once(served: Automation) -> None:
    served.make(CHURN_MODEL)
    assert served.asked(NIGHT + dt.timedelta(minutes=1)) == {SERVED_CHURN_MODEL}
    served.make(SERVED_CHURN_MODEL)
    assert served.asked(NIGHT + dt.timedelta(minutes=2)) == set()
    assert served.asked(NIGHT + dt.timedelta(minutes=3)) == set()
