"""Which models are in force: promoted champions whose features this release has."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from streaming.scoring.models import PromotedModels
from tests.api.models import promote


@pytest.fixture
async def models(tmp_path: Path) -> AsyncIterator[PromotedModels]:
    """Champions under a folder that is empty still."""
    models = PromotedModels(tmp_path)
    models.start()
    yield models
    await models.stop()


async def until(condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + 20
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)


def versions(models: PromotedModels) -> list[str]:
    return [model.version for model in models.current()]


async def test_champion_is_in_force_once_promoted_and_a_corrupt_one_never(
    models: PromotedModels, tmp_path: Path
) -> None:
    """F24: the old one keeps serving, and the report says what happened."""
    await until(lambda: models.report() == {"churn": "none has been promoted yet"})
    assert versions(models) == []
    promote(tmp_path, version="1")
    await until(lambda: versions(models) == ["1"])
    assert models.current()[0].feature_set is CUSTOMER_ACTIVITY
    (tmp_path / "churn" / "champion.json").write_text(json.dumps({"version": "2", "manifest_sha256": "0" * 64}))
    await until(lambda: models.report()["churn"] == "version 1 scores; a newer one cannot be loaded")
    assert versions(models) == ["1"]
    promote(tmp_path, version="3", shift=1.0)
    await until(lambda: versions(models) == ["3"])


async def test_model_of_features_that_this_release_does_not_have_is_not_in_force(
    models: PromotedModels, tmp_path: Path
) -> None:
    promote(tmp_path, version="1", feature_set_version=2)
    await until(
        lambda: "reads customer_activity version 2, which this release does not have" in models.report()["churn"]
    )
    assert versions(models) == []
