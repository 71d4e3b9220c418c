"""What is shown of rows: short, of plain types, and without what belongs to a person."""

import datetime as dt
import decimal
import json

import pytest

from platform_assets.quality.samples import shown_value, shown_values


@pytest.mark.parametrize(
    "name", ["email", "user_Email", "phone", "password_hash", "apiKey", "last_name", "client_ip", "ip", "birth_date"]
)
def test_personal_columns_and_secrets_are_masked_by_name(name: str) -> None:
    assert shown_values({name: "x"}) == {name: "***"}


@pytest.mark.parametrize("name", ["household_id", "ship_date", "recipe", "product_name", "tip", "description"])
def test_other_columns_are_shown(name: str) -> None:
    assert shown_values({name: "x"}) == {name: "x"}


def test_null_stays_null_and_chosen_columns_are_masked() -> None:
    assert shown_values({"email": None, "a": 1}, masked={"a"}) == {"email": None, "a": "***"}


def test_values_become_what_json_can_hold() -> None:
    values = [
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        dt.date(2026, 1, 1),
        decimal.Decimal("1.10"),
        b"\x00\x01",
        float("nan"),
        {"a": [1]},
        "x" * 300,
        True,
    ]
    shown = [shown_value(value) for value in values]
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    assert shown[:6] == ["2026-01-01T00:00:00+00:00", "2026-01-01", "1.10", "<2 bytes>", "nan", "{'a': [1]}"]
    assert shown[6] == "x" * 200 + "…"
