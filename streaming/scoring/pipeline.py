"""From micro-batches of `windows.v1` to predictions: scored, acknowledged by the log, then kept with the position.

In that order, so that a position never passes a prediction that is not on the log and in the store. After a crash the
stretch behind the kept position is scored again; the ids of what is made twice are the same.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from platform_assets.contracts.features import LiveFeatureSet
from platform_assets.contracts.predictions import StreamPrediction
from platform_assets.contracts.topics import WINDOWS
from resources.online_store import PredictionStore
from streaming.incarnations import Incarnations
from streaming.record_batch import RecordBatch
from streaming.scoring.activity import Place, activity_of
from streaming.scoring.gaps import Gaps
from streaming.scoring.models import Models, ScoringModel
from streaming.scoring.pending import Pending
from streaming.scoring.retrying import Interrupted, Patience
from streaming.scoring.scorer import Scorer

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

# Bounds the time of a call of the model, and with it how long a change waits for its turn.
MAX_ENTITIES = 2_000
# The worker writes live features about once a second.
LIVE_SETTLE_S = 1.5
# Batches that name nobody move the position too; that is kept this often.
POSITION_INTERVAL_S = 1.0


class Log(Protocol):
    """Where predictions are appended. Each call raises LogUnavailable where the broker does not answer."""

    async def connect(self) -> None:
        """Be ready for the first prediction."""

    async def append(self, predictions: Sequence[StreamPrediction]) -> None:
        """Returns when the broker has acknowledged all of them."""

    async def close(self) -> None:
        """Deliver what is under way and disconnect."""


@dataclass
class Counts:
    """Since the start of the process."""

    scored: int = 0
    skipped: int = 0
    unreadable: int = 0
    calls: int = 0
    busy_s: float = 0.0


class ScoringPipeline:
    """Owned by one event loop. Everything that blocks or computes runs on one thread beside it."""

    def __init__(
        self,
        reader: str,
        *,
        models: Models,
        scorer: Scorer,
        store: PredictionStore,
        log: Log,
        incarnations: Incarnations,
        gives_up: Callable[[], bool],
        interval_s: float,
    ) -> None:
        self._reader = reader
        self._models = models
        self._scorer = scorer
        self._store = store
        self._predictions = log
        self._incarnations = incarnations
        self._gives_up = gives_up
        self._pending = Pending(interval_s)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scoring")
        self._scoring = asyncio.Lock()
        self._log_id: str | None = None
        self._kept: Mapping[int, int] = {}
        self._kept_at = 0.0
        self._ready = False
        self._started = False
        self._patience = Patience(gives_up)
        self._gaps = Gaps()
        self.counts = Counts()

    @property
    def paused(self) -> str | None:
        """Why nothing can be written at the moment."""
        return self._patience.reason

    @property
    def is_ready(self) -> bool:
        """Partitions are assigned and sought, and predictions can be written. A model may be missing."""
        return self._ready and self.paused is None

    @property
    def is_waiting_for_a_model(self) -> bool:
        """No model can score, so nothing is consumed."""
        return not self._models.current()

    def position(self, partition: int) -> int | None:
        """The next offset to take."""
        return self._pending.position(partition)

    def positions(self) -> dict[int, int]:
        """By owned partition, the offset below which everything is scored, acknowledged and kept."""
        return dict(self._kept)

    async def open(self, partitions: Collection[int]) -> dict[int, int]:
        """Own these partitions and no others; returns the kept position of each, 0 where there is none.

        Raises:
            LogUnavailable: the broker cannot say which incarnation it holds.
            OnlineStoreError: the store cannot be read.
        """
        async with self._scoring:
            if not self._started:
                self._started = True
                self._models.start()
                await self._predictions.connect()
            logs = await self._run(self._incarnations.describe, [WINDOWS.name])
            log = self._log_id = logs[WINDOWS.name].log
            kept = await self._run(self._store.positions, self._reader, WINDOWS.name, log)
            positions = {partition: kept.get(partition, 0) for partition in partitions}
            self._pending.open(positions)
            self._kept = dict(positions)
            self._gaps = Gaps()
            self._patience.reason = None
            self._ready = True
        _log.info("partitions_opened topic=%s log=%s positions=%s", WINDOWS.name, log, positions)
        return positions

    async def take(self, batch: RecordBatch) -> bool:
        """Score who is due, with this batch; waits while there is no model.

        Returns:
            False where records are missing between the position and the batch: the caller seeks to the position.
        """
        while self.is_waiting_for_a_model:
            if self._gives_up():
                return True
            await asyncio.sleep(0.1)
        position = self._pending.position(batch.partition)
        if position is None or batch.next_offset <= position or self._log_id is None:
            return True
        if batch.start > position and not self._gaps.is_for_good(batch.partition, position, batch.start):
            return False
        activity = await self._run(activity_of, batch, self._log_id)
        self.counts.unreadable += activity.unreadable
        if self._pending.position(batch.partition) == position:  # not taken away meanwhile
            self._pending.add(
                batch.partition,
                activity.entities,
                start=position,
                next_offset=batch.next_offset,
                now=time.monotonic(),
            )
            await self.score_due()
        return True

    async def score_due(self) -> None:
        """Score those whose time has come; to be called several times a second beside `take`."""
        async with self._scoring:
            try:
                while models := self._models.current():
                    due = self._pending.due(time.monotonic(), MAX_ENTITIES)
                    if not due:
                        break
                    await self._score(models, due)
                if time.monotonic() - self._kept_at >= POSITION_INTERVAL_S:
                    await self._keep([])
            except Interrupted:
                return

    async def verify_log(self) -> None:
        """Raises LogReplaced where the broker holds another incarnation than the one that is read."""
        if self._log_id is not None:
            await asyncio.to_thread(self._incarnations.verify, [(WINDOWS.name, self._log_id)])

    async def release(self, partitions: Collection[int]) -> None:
        """Own these no more; the next owner starts at the kept positions."""
        async with self._scoring:
            self._ready = False
            self._pending.release(partitions)
            self._kept = {key: value for key, value in self._kept.items() if key not in set(partitions)}

    async def stop(self) -> None:
        """Release everything and end what was started."""
        await self.release(list(self._kept))
        if self._started:
            await self._models.stop()
            await self._predictions.close()
        self._thread.shutdown(wait=True)

    def report(self) -> Mapping[str, object]:
        """What the page /scoring shows."""
        return {
            "ready": self.is_ready,
            "paused": self.paused,
            "models": dict(self._models.report()),
            "waiting_entities": len(self._pending),
            "scored": self.counts.scored,
            "skipped": self.counts.skipped,
            "unreadable_records": self.counts.unreadable,
            "model_calls": self.counts.calls,
            "busy_s": round(self.counts.busy_s, 3),
            "partitions": [
                {"partition": partition, "position": self._pending.position(partition), "kept": kept}
                for partition, kept in sorted(self._kept.items())
            ],
        }

    async def _score(self, models: Sequence[ScoringModel], due: Mapping[str, Place]) -> None:
        begun = time.monotonic()
        scored = await self._patience.until_done(lambda: self._run(self._scorer.score, models, due))
        self.counts.busy_s += time.monotonic() - begun
        self.counts.calls += 1
        self.counts.scored += len(scored.predictions)
        self.counts.skipped += scored.skipped
        if scored.predictions:
            await self._patience.until_done(lambda: self._predictions.append(scored.predictions))
        reads_live = any(isinstance(model.feature_set, LiveFeatureSet) for model in models)
        self._pending.done(due, begun, LIVE_SETTLE_S if reads_live else 0.0)
        await self._keep(scored.predictions)

    async def _keep(self, predictions: Sequence[StreamPrediction]) -> None:
        positions = self._pending.done_up_to()
        self._kept_at = time.monotonic()
        if (not predictions and positions == self._kept) or self._log_id is None:
            return
        places = {(WINDOWS.name, self._log_id, partition): offset for partition, offset in positions.items()}
        await self._patience.until_done(
            lambda: self._run(self._store.put_predictions, self._reader, predictions, places)
        )
        self._kept = positions

    async def _run(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
