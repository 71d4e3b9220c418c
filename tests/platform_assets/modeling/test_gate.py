"""The gate, case by case."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.modeling.gate import TOLERANCE, Champion, decide

Expected = tuple[bool, str, str]
"""Promoted, on what kind of data, and a part of the reason."""


def champion(auc: float | None, kind: str = "full") -> Champion:
    """A serving model."""
    return Champion(version="3", kind="bootstrap" if kind == "bootstrap" else "full", auc=auc)


@pytest.mark.parametrize(
    ("auc", "rule", "serving", "full", "expected"),
    [
        (0.84, 0.77, None, True, (True, "full", "first champion")),
        (0.77, 0.77, None, True, (False, "full", "not better than the recency rule")),
        (0.60, 0.77, None, True, (False, "full", "not better than the recency rule")),
        (0.84, None, None, True, (False, "full", "not better than the recency rule")),
        (0.84, 0.77, champion(0.84), True, (True, "full", "not worse than the champion")),
        (0.836, 0.77, champion(0.84), True, (True, "full", "not worse than the champion")),
        (0.83, 0.77, champion(0.84), True, (False, "full", "worse than the champion by more than 0.005")),
        (0.84, 0.77, champion(None), True, (True, "full", "champion 3 cannot score these rows")),
        (0.84, 0.77, champion(0.70, "bootstrap"), True, (True, "full", "champion 3 0.700")),
        (0.76, 0.77, champion(0.70, "bootstrap"), True, (False, "full", "not better than the recency rule")),
        (0.60, 0.77, None, False, (True, "bootstrap", "first valid model of an empty registry")),
        (0.60, None, None, False, (True, "bootstrap", "recency rule undefined")),
        (0.99, 0.77, champion(0.84), False, (False, "bootstrap", "a sample does not replace version 3")),
        (0.99, 0.77, champion(0.50, "bootstrap"), False, (False, "bootstrap", "a sample does not replace version 3")),
        (None, 0.77, None, True, (False, "full", "its AUC is undefined")),
        (None, None, None, False, (False, "bootstrap", "its AUC is undefined")),
    ],
)
def test_gate_decides(
    *, auc: float | None, rule: float | None, serving: Champion | None, full: bool, expected: Expected
) -> None:
    """Each branch, with the reason that a person reads."""
    promote, kind, reason = expected
    verdict = decide(auc=auc, rule_auc=rule, champion=serving, expects_full_data=full)
    assert (verdict.promote, verdict.kind) == (promote, kind)
    assert reason in verdict.reason


@pytest.mark.parametrize("full", [True, False])
def test_gate_never_promotes_what_is_not_valid(full: bool) -> None:
    """Good numbers do not help a model with a problem."""
    verdict = decide(auc=0.99, rule_auc=0.5, champion=None, expects_full_data=full, problem="it predicts NaN")
    assert not verdict.promote
    assert verdict.reason == "not valid: it predicts NaN"


auc = st.floats(0, 1)


@given(auc, auc, st.none() | auc)
def test_gate_on_full_data_never_promotes_below_rule_or_champion(
    mine: float, rule: float, theirs: float | None
) -> None:
    """The promise, for any numbers."""
    serving = None if theirs is None else champion(theirs)
    verdict = decide(auc=mine, rule_auc=rule, champion=serving, expects_full_data=True)
    assert verdict.promote == (mine > rule and (theirs is None or mine >= theirs - TOLERANCE))
