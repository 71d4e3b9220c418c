"""Data quality: whether a data set is what it is expected to be."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from platform_assets.quality.expectations import Expectation
from platform_assets.quality.reading import read_expectations
from platform_assets.quality.results import ValidationResult
from platform_assets.quality.starters import create_common_expectations
from resources.quality.validating import DataQuality
from resources.settings import load_settings

__all__ = ["DataQualityFramework", "create_common_expectations"]


class DataQualityFramework:
    """Judges data sets, remembers the results and alerts people to failures; by default as the settings choose.

    The work is done in the engine and in a thread, so the event loop stays free.
    """

    def __init__(self, quality: DataQuality | None = None) -> None:
        self._quality = quality or DataQuality.of(load_settings())

    async def validate_dataset(
        self,
        dataset_path: str,
        expectations: Sequence[Mapping[str, Any] | Expectation],
        *,
        masked: Collection[str] = (),
    ) -> ValidationResult:
        """Judge a data set: a path or a pattern, an address s3://… or a table such as `marts.fct_orders`.

        Args:
            masked: columns whose values the samples of failing rows do not show, beside those with telling names.

        Raises:
            BadExpectation: an expectation cannot be read.
            DatasetUnreadable: there is no such data set.
            LockTimeout: a writer held the warehouse for too long.
        """
        read = read_expectations(expectations)
        return await asyncio.to_thread(lambda: self._quality.validate(dataset_path, read, masked=masked))
