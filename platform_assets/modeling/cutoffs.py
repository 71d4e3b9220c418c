"""Which days a model learns from, is judged on and serves."""

import datetime as dt
from dataclasses import dataclass

from platform_assets.contracts.features import LOOKBACK_DAYS, OUTCOME_DAYS


class TooLittleHistory(ValueError):
    """The orders do not cover one training cut-off and the evaluation cut-off after it."""


@dataclass(frozen=True)
class CutoffPlan:
    """Cut-off days. `training` is ascending; each training outcome is known on the evaluation day."""

    training: tuple[dt.date, ...]
    evaluation: dt.date
    serving: dt.date

    @property
    def labelled(self) -> tuple[dt.date, ...]:
        """The cut-offs whose outcome is known: training, then evaluation."""
        return (*self.training, self.evaluation)

    @property
    def all(self) -> tuple[dt.date, ...]:
        """Every cut-off that needs features, once each, ascending."""
        return tuple(sorted({*self.labelled, self.serving}))


def plan_cutoffs(first_order: dt.date, as_of: dt.date, evaluation_cutoff: dt.date | None = None) -> CutoffPlan:
    """Lay out the cut-offs over the known orders.

    Args:
        first_order: the first day with an order.
        as_of: the day after the last one whose orders are known.
        evaluation_cutoff: the held-out cut-off; default is the latest whose outcome is known.

    Training cut-offs lie whole outcome windows before the evaluation, so that windows neither overlap nor reach
    beyond it, and each has a full look-back of history.

    Raises:
        TooLittleHistory: naming the days that are known and those that are needed.
    """
    outcome, lookback = dt.timedelta(days=OUTCOME_DAYS), dt.timedelta(days=LOOKBACK_DAYS)
    latest = as_of - outcome
    evaluation = evaluation_cutoff or latest
    if evaluation > latest:
        raise TooLittleHistory(
            f"The outcome of the evaluation cut-off {evaluation} is known on {evaluation + outcome}, but orders are "
            f"known only before {as_of}. Choose {latest} or earlier (ANALYTICS_CHURN__EVALUATION_CUTOFF), or land more "
            "events."
        )
    training = []
    cutoff = evaluation - outcome
    while cutoff - lookback >= first_order:
        training.append(cutoff)
        cutoff -= outcome
    if not training:
        needed = evaluation - outcome - lookback
        raise TooLittleHistory(
            f"Orders begin on {first_order}; to train for the evaluation cut-off {evaluation} they must begin on "
            f"{needed} or earlier. Choose a later cut-off (ANALYTICS_CHURN__EVALUATION_CUTOFF), or land older events."
        )
    return CutoffPlan(training=tuple(reversed(training)), evaluation=evaluation, serving=as_of)
