"""Answers questions about metrics from the published snapshot, beside the requests and never in their way.

DuckDB is imported with the first question, queries run on a few threads, and who cannot be served soon is told so at
once. Answers are kept for as long as their snapshot serves; equal questions that meet are asked once. What was asked
last is asked of a new snapshot before it serves, so that nobody waits for a publication.
"""

import asyncio
import contextlib
import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.services.metric_answers import AnswerCache, AnswerForm, AnswerKey, MetricAnswer, encode_rows
from platform_assets.contracts.metric_queries import MAX_ROWS, MetricQuery
from resources.settings import Settings

if TYPE_CHECKING:
    from resources.warehouse.snapshot_reader import OpenSnapshot, SnapshotReader

LOOK_INTERVAL_S = 0.5
WARMED_UP = 100
"""Questions, at most; a few milliseconds each, beside those that are asked meanwhile."""

logger = logging.getLogger(__name__)


class NothingPublished(LookupError):
    """There is no snapshot yet, or none with this metric's mart; the message says what makes one."""


class MetricsUnavailable(RuntimeError):
    """The snapshot cannot be read; the log says why."""


class MetricsBusy(RuntimeError):
    """Too many questions are waiting."""


class CallerBusy(RuntimeError):
    """Too many questions of this caller are waiting."""


class QueryTookTooLong(RuntimeError):
    """The query was ended at its time limit; with less to do beside it, it may fit."""


class QueryTooCostly(RuntimeError):
    """The query needs more memory than it may take."""


@dataclass(frozen=True)
class DataVersion:
    """Of when the data is: the snapshot, when it was published and when last found equal to the warehouse."""

    version: str
    published_at: dt.datetime
    checked_at: dt.datetime


class Metrics:
    """One per process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limits = settings.metrics
        self._executor = ThreadPoolExecutor(self._limits.workers, thread_name_prefix="metrics")
        self._reader: SnapshotReader | None = None
        self._serving: OpenSnapshot | None = None
        self._opening = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None
        self._fault: str | None = None
        self._waiting: Counter[str] = Counter()
        self._cache = AnswerCache(self._limits.cache_mb * 1_000_000)
        self._last_days: dict[tuple[str, str], dt.date] = {}
        self._under_way: dict[AnswerKey, asyncio.Task[MetricAnswer]] = {}

    async def stop(self) -> None:
        """No longer follow the snapshots; a query that runs is waited for, at most its time limit."""
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)
        if self._reader is not None:
            self._reader.close()

    async def version(self) -> DataVersion:
        """What serves now; no look at the disk once a question has been asked.

        Raises:
            NothingPublished: no snapshot yet.
            MetricsUnavailable: it cannot be read.
        """
        return _version(await self._current())

    async def answer(self, query: MetricQuery, form: AnswerForm, caller: str) -> tuple[DataVersion, MetricAnswer]:
        """The answer and what it was read from.

        Raises:
            NothingPublished: no snapshot yet, or an older one without the metric's mart.
            MetricsUnavailable: it cannot be read.
            MetricsBusy, CallerBusy: too many are waiting.
            QueryTookTooLong, QueryTooCostly: a limit was reached.
        """
        opened = await self._current()
        if query.metric.mart not in opened.snapshot.tables:
            raise NothingPublished(f"The mart {query.metric.mart} has not been published yet; run warehouse_job.")
        key = (opened.snapshot.version, query, form)
        answer = self._cache.get(key)
        if answer is None:
            with self._place(caller):
                # Shielded: a client that goes away does not end the question for another.
                answer = await asyncio.shield(self._asked(opened, key))
            self._cache.put(key, answer)
        return _version(opened), answer

    @contextlib.contextmanager
    def _place(self, caller: str) -> Iterator[None]:
        if self._waiting.total() >= self._limits.waiting + self._limits.workers:
            raise MetricsBusy("Too many questions about metrics are waiting; come back in a moment.")
        if self._waiting[caller] >= self._limits.waiting_per_caller:
            raise CallerBusy(f"Of one caller {self._limits.waiting_per_caller} questions about metrics wait at most.")
        self._waiting[caller] += 1
        try:
            yield
        finally:
            self._waiting[caller] -= 1
            if not self._waiting[caller]:
                del self._waiting[caller]

    def _asked(self, opened: "OpenSnapshot", key: AnswerKey) -> "asyncio.Task[MetricAnswer]":
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._run(opened, key), name="metric-query")
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return task

    async def _run(self, opened: "OpenSnapshot", key: AnswerKey) -> MetricAnswer:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._query, opened, key)

    def _query(self, opened: "OpenSnapshot", key: AnswerKey) -> MetricAnswer:
        from resources.warehouse.hardened import DatabaseUnreadable, QueryTooLarge, QueryTooLong
        from resources.warehouse.metric_queries import compile_query, last_day_query
        from resources.warehouse.person_sql import QueryInvalid, QueryRefused

        version, query, form = key
        last_day_of = (version, query.metric.name)
        zone = self._settings.warehouse.business_timezone
        asked, through = compile_query(query, zone), last_day_query(query.metric, zone)
        try:
            found = opened.database.run(asked.sql, asked.parameters, rows=query.limit)
            if (last_day := self._last_days.get(last_day_of)) is None:
                last_day = opened.database.run(through.sql, through.parameters).rows[0][0]
                self._last_days = {**self._of_version(version), last_day_of: last_day}
        except QueryTooLong as error:
            raise QueryTookTooLong(str(error)) from None
        except QueryTooLarge as error:
            raise QueryTooCostly(str(error)) from None
        except (DatabaseUnreadable, QueryInvalid, QueryRefused) as error:
            # The question was checked: the snapshot is damaged, or of a release with other columns.
            logger.error("The published marts cannot answer a metric", exc_info=error)
            raise MetricsUnavailable("The published marts cannot answer this just now; run warehouse_job.") from error
        return MetricAnswer(encode_rows(query.columns, found.rows, form), found.truncated, last_day)

    def _of_version(self, version: str) -> dict[tuple[str, str], dt.date]:
        return {key: day for key, day in self._last_days.items() if key[0] == version}

    async def _current(self) -> "OpenSnapshot":
        if self._serving is not None:
            return self._serving
        async with self._opening:
            if self._serving is None:
                self._serving = await asyncio.to_thread(self._look)
                self._following = asyncio.create_task(self._follow(), name="metrics-follow-snapshots")
            return self._serving

    async def _follow(self) -> None:
        """Open what is published beside the questions, so that none of them waits for it."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            with contextlib.suppress(NothingPublished, MetricsUnavailable):
                opened = await asyncio.to_thread(self._look)
                if self._serving is None or self._serving.snapshot.version != opened.snapshot.version:
                    await self._warm_up(opened)
                self._serving = opened

    async def _warm_up(self, opened: "OpenSnapshot") -> None:
        answers = []
        for _, query, form in self._cache.newest(WARMED_UP):
            key = (opened.snapshot.version, query, form)
            if query.metric.mart in opened.snapshot.tables:
                with contextlib.suppress(QueryTookTooLong, QueryTooCostly, MetricsUnavailable):
                    answers.append((key, await self._asked(opened, key)))
        for key, answer in reversed(answers):
            self._cache.put(key, answer)

    def _look(self) -> "OpenSnapshot":
        from resources.warehouse.hardened import QueryLimits
        from resources.warehouse.snapshot_reader import NoSnapshot, SnapshotReader
        from resources.warehouse.snapshots import SnapshotUnreadable

        if self._reader is None:
            limits = QueryLimits(seconds=self._limits.query_timeout_s, rows=MAX_ROWS, memory=self._limits.query_memory)
            self._reader = SnapshotReader(self._settings.snapshots_dir, limits)
        try:
            opened = self._reader.look()
        except NoSnapshot as error:
            raise NothingPublished(str(error)) from None
        except (SnapshotUnreadable, OSError) as error:
            if self._fault != str(error):  # said once, not twice a second
                logger.error("The published marts cannot be read", exc_info=error)
                self._fault = str(error)
            raise MetricsUnavailable("The published marts cannot be read just now.") from error
        self._fault = None
        return opened


def _version(opened: "OpenSnapshot") -> DataVersion:
    snapshot = opened.snapshot
    return DataVersion(snapshot.version, snapshot.published_at, snapshot.checked_at or snapshot.published_at)
