"""The gate between a trained model and the champion's alias. Pure: numbers in, verdict out."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["full", "bootstrap"]

TOLERANCE = 0.005
"""How much AUC a challenger may lose to the champion on the same rows: some half of the AUC's standard error at 2,300
rows, so that fresher data is not refused for noise."""


@dataclass(frozen=True)
class Champion:
    """The model that serves now. `auc` is measured on the challenger's evaluation rows; None where it cannot score
    them, because it learned other features or its file is unreadable."""

    version: str
    kind: Kind
    auc: float | None


@dataclass(frozen=True)
class Verdict:
    """What the gate decided. `kind` says on what kind of data the candidate stands; `reason` shows the numbers."""

    promote: bool
    reason: str
    kind: Kind


def decide(
    *,
    auc: float | None,
    rule_auc: float | None,
    champion: Champion | None,
    expects_full_data: bool,
    problem: str | None = None,
    tolerance: float = TOLERANCE,
) -> Verdict:
    """Decide whether a candidate becomes the champion.

    Args:
        auc: the candidate's AUC on rows it never saw; None where it is undefined.
        rule_auc: the recency rule's AUC on the same rows.
        champion: the model that serves now, if any.
        expects_full_data: False while the data is a sample; then only an empty registry promotes.
        problem: why the candidate is not valid, where it is not.
        tolerance: AUC that the candidate may lose to the champion.
    """
    kind: Kind = "full" if expects_full_data else "bootstrap"
    if problem is not None or auc is None:
        return Verdict(False, f"not valid: {problem or 'its AUC is undefined'}", kind)
    numbers = f"AUC {auc:.3f}, recency rule {'undefined' if rule_auc is None else f'{rule_auc:.3f}'}"
    if kind == "bootstrap":
        return _on_a_sample(numbers, champion)
    if rule_auc is None or auc <= rule_auc:
        return Verdict(False, f"{numbers}; not better than the recency rule", kind)
    return _against_champion(auc, numbers, champion, tolerance)


def _on_a_sample(numbers: str, champion: Champion | None) -> Verdict:
    if champion is not None:
        return Verdict(False, f"{numbers}; a sample does not replace version {champion.version}", "bootstrap")
    return Verdict(True, f"{numbers}; first valid model of an empty registry, on a sample", "bootstrap")


def _against_champion(auc: float, numbers: str, champion: Champion | None, tolerance: float) -> Verdict:
    if champion is None:
        return Verdict(True, f"{numbers}; first champion", "full")
    if champion.auc is None:
        return Verdict(True, f"{numbers}; champion {champion.version} cannot score these rows", "full")
    compared = f"{numbers}, champion {champion.version} {champion.auc:.3f}"
    if auc < champion.auc - tolerance:
        return Verdict(False, f"{compared}; worse than the champion by more than {tolerance:.3f}", "full")
    return Verdict(True, f"{compared}; not worse than the champion by more than {tolerance:.3f}", "full")
