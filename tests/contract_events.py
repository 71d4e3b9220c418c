"""Ten thousand events by chance: good ones, and ones that break the contract in every way that it knows.

One seed, so that a failure names an event that can be made again.
"""

import datetime as dt
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from platform_assets.contracts.events import ENVELOPE_FIELDS, MAX_EVENT_BYTES, AwareDatetime
from platform_assets.contracts.landing import EVENT_COLUMNS, INT32, TEXT, TIMESTAMP
from platform_assets.contracts.payloads import PURCHASE_LINE
from tests.odd_events import PURCHASE, PURCHASES, TRACE, VARIANTS

RECEIVED_AT = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
LOG = "log1"

Members = list[tuple[str, str]]
"""An object's members in their order, each value as JSON text; it may be no JSON, and a name may stand twice."""


@dataclass(frozen=True)
class Candidate:
    """One event in the forms in which the enforcers meet it."""

    sent: bytes
    """As a client sends it."""
    record: bytes
    """As it would stand on the log, had the door filled in what is left out and looked at nothing."""
    row: dict[str, Any] | None
    """As a row of raw.events, had nobody looked; None where no row with these columns and types can hold it."""


def candidates(count: int, seed: int) -> Iterator[Candidate]:
    """So many of them; about half are good."""
    chance = random.Random(seed)  # noqa: S311 - no secret, and the same ones each time
    for number in range(count):
        members = _good_members(chance, number)
        for _ in range(chance.choice([0, 0, 0, 0, 1, 1, 1, 2])):
            chance.choice(_BREAKS)(chance, members)
        yield _candidate(chance, members, number)


def _candidate(chance: random.Random, members: Members, number: int) -> Candidate:
    stamped = _stamped(members, number)
    sent, record, row = _text(chance, members), _text(chance, stamped), _row(stamped, number)
    if chance.random() < 0.04:
        damage = chance.choice(_DAMAGES)
        return Candidate(damage(sent), damage(record), None)
    return Candidate(sent, record, row)


def _good_members(chance: random.Random, number: int) -> Members:
    event_name = chance.choice([PURCHASE_LINE, PURCHASE_LINE, "page_view", "order.placed-2"])
    members = [
        ("event_id", json.dumps(f"e-{number}")),
        ("event_type", json.dumps(chance.choice(["custom", "transaction", "user_action", "metric"]))),
        ("event_name", json.dumps(event_name)),
        ("user_id", chance.choice(["null", '"1228"', '"a@b.org"'])),
        ("session_id", chance.choice(["null", '"s:1/2"'])),
        ("occurred_at", json.dumps(chance.choice(_TIMES))),
        ("source_service", '"web_app"'),
        ("schema_version", "1"),
        ("correlation_id", '"c-1"'),
        ("traceparent", chance.choice(["null", json.dumps(TRACE)])),
        ("payload", _purchase(chance) if event_name == PURCHASE_LINE else _generic(chance)),
    ]
    optional = {"event_id", "event_type", "user_id", "session_id", "occurred_at", "schema_version", "traceparent"}
    return [(name, text) for name, text in members if name not in optional or chance.random() > 0.1]


_TIMES = [
    "2026-11-23T12:00:00Z",
    "2017-12-31T23:59:59.999999-05:00",
    "1900-01-01T00:00:00Z",
    "2199-12-31T23:59:59.5Z",
    "2024-02-29T12:30:15.25+05:30",
]


def _purchase(chance: random.Random) -> str:
    coupon = round(chance.choice([0.0, chance.uniform(0, 5), 1_000_000]), 2)
    fields = {
        "basket_id": chance.choice(["31198570044", "b", "é" * 64, "x\u0000y", 'quo"te\\']),
        "product_id": "1095275",
        "store_id": chance.choice(["330", "名" * 3]),
        "quantity": chance.choice([0, 1, 89_638, 10_000_000]),
        "sales_value": chance.choice([0, 1, 0.5, 840.0, 1_000_000, 5e-324, round(chance.uniform(0, 1000), 2)]),
        "retail_disc": round(chance.uniform(0, 10), 2),
        "coupon_disc": coupon,
        "coupon_match_disc": chance.choice([0, coupon, round(coupon / 2, 4)]),
    }
    return _json(chance, dict(chance.sample(list(fields.items()), len(fields))))


def _generic(chance: random.Random, depth: int = 0) -> str:
    return _json(chance, {f"k{place}": _value(chance, depth) for place in range(chance.randrange(4))})


def _value(chance: random.Random, depth: int) -> Any:
    if depth < 3 and chance.random() < 0.3:
        inner = [_value(chance, depth + 1) for _ in range(chance.randrange(3))]
        return inner if chance.random() < 0.5 else {f"k{place}": value for place, value in enumerate(inner)}
    return chance.choice(
        [0, -1, 2.5, 1e300, 10**25, True, None, "", "a:b", "NaN", ",}", '{"k0":', "\u2028", "12:30:00"]
    )


def _json(chance: random.Random, value: Any) -> str:
    separators = chance.choice([(",", ":"), (", ", ": "), (" ,\n", "\t:")])
    return json.dumps(value, separators=separators, ensure_ascii=chance.random() < 0.5)


def _change_a_field(chance: random.Random, members: Members) -> None:
    name = chance.choice([name for name in ENVELOPE_FIELDS if name not in {"payload", "received_at"}])
    _set(members, name, chance.choice(VARIANTS[name]))


def _change_the_payload(chance: random.Random, members: Members) -> None:
    _set(
        members,
        "payload",
        chance.choice(PURCHASES if dict(members).get("event_name") == f'"{PURCHASE_LINE}"' else _ODD),
    )


def _exceed_a_bound(chance: random.Random, members: Members) -> None:
    fields: dict[str, Any] = dict(PURCHASE)
    name = chance.choice(list(fields))
    if isinstance(fields[name], str):
        fields[name] = chance.choice(["", "x" * 65, "é" * 65, None, 7, ["1"], {"a": 1}])
    else:
        fields[name] = chance.choice(
            [-1, -0.01, 1_000_000.01, 10_000_001, 2**63, 10**30, None, "1", True, False, [], 0.5]
        )
    _set(members, "event_name", f'"{PURCHASE_LINE}"')
    _set(members, "payload", json.dumps(fields))


def _break_the_coupon_rule(chance: random.Random, members: Members) -> None:
    coupon = round(chance.uniform(0, 5), 2)
    more = chance.choice([coupon + 0.01, 1_000_000, coupon * (1 + 2**-52) + 5e-324])
    fields = PURCHASE | {"coupon_disc": coupon, "coupon_match_disc": more}
    _set(members, "event_name", f'"{PURCHASE_LINE}"')
    _set(members, "payload", json.dumps(fields))


def _lose_a_member(chance: random.Random, members: Members) -> None:
    _drop(members, chance.choice(["event_name", "source_service", "payload"]))


def _add_a_member(chance: random.Random, members: Members) -> None:
    members.insert(chance.randrange(len(members) + 1), (chance.choice(["colour", "Payload", "", "log"]), "1"))


def _double_a_member(chance: random.Random, members: Members) -> None:
    members.insert(chance.randrange(len(members) + 1), chance.choice(members))


def _double_a_key(chance: random.Random, members: Members) -> None:
    text = chance.choice(
        ['{"a":1,"a":1}', '{"a":{"b":[{"c":":","d":1,"d":1}]}}', '{"a":1,"\\u0061":2}', '{"a" :1,"a" :2}']
    )
    _set(members, "event_name", '"page_view"')
    _set(members, "payload", text)


def _grow_too_large(chance: random.Random, members: Members) -> None:
    # Few of the largest: all of them together took half of the test's time.
    size = chance.choice([100, 1_000, 10_000, 10_000, MAX_EVENT_BYTES - 2_000, MAX_EVENT_BYTES])
    _set(members, "event_name", '"page_view"')
    _set(members, "payload", json.dumps({"a": "x" * size}))


_LOOSE = ["NaN", "nan", "-inf", "Infinity", "-Infinity", "1e309", "-1E+400", "9" * 400 + ".5", "9" * 400, "9" * 4301]
_ODD = [
    *VARIANTS["payload"],
    *(f'{{"a":{text}}}' for text in _LOOSE),
    *(f'{{"a": [1, {{"b" :{text}}}]}}' for text in _LOOSE),
    *(json.dumps({"a": text}) for text in _LOOSE),
    *('{"a":[1,]}', '{"a":{"b":1,}}', '{"a":"[1,]"}', "{'a':1}", "{a:1}", '{"a":1}x', "/**/{}", "\ufeff{}", ""),
]
_BREAKS: Sequence[Callable[[random.Random, Members], None]] = (
    *[_change_a_field] * 5,
    *[_change_the_payload] * 4,
    *[_exceed_a_bound] * 2,
    _break_the_coupon_rule,
    _lose_a_member,
    _add_a_member,
    _double_a_member,
    _double_a_key,
    _grow_too_large,
)


def _set(members: Members, name: str, text: str) -> None:
    _drop(members, name)
    members.append((name, text))


def _drop(members: Members, name: str) -> None:
    members[:] = [member for member in members if member[0] != name]


def _stamped(members: Members, number: int) -> Members:
    """With what the door fills in where a client leaves it out or sends null."""
    filled = {
        "event_id": f'"minted-{number}"',
        "occurred_at": json.dumps(RECEIVED_AT.isoformat()),
        "correlation_id": '"request-1"',
    }
    absent = {
        "event_type": '"custom"',
        "user_id": "null",
        "session_id": "null",
        "traceparent": "null",
        "schema_version": "1",
    }
    kept = [(name, filled[name] if text == "null" and name in filled else text) for name, text in members]
    names = {name for name, _ in members}
    kept += [(name, text) for name, text in (filled | absent).items() if name not in names]
    return [*kept, ("received_at", json.dumps(RECEIVED_AT.isoformat()))]


def _text(chance: random.Random, members: Members) -> bytes:
    comma, colon = chance.choice([(",", ":"), (",", ":"), (", ", ": ")])
    text = "{" + comma.join(f"{json.dumps(name)}{colon}{value}" for name, value in members) + "}"
    return text.encode("utf-8", "surrogatepass")


_DAMAGES: Sequence[Callable[[bytes], bytes]] = (
    lambda text: text[:-1],
    lambda text: text[1:],
    lambda text: text + b"x",
    lambda text: text + text,
    lambda text: b"\xff" + text,
    lambda text: b"\xef\xbb\xbf" + text,
    lambda text: b"[" + text + b"]",
    lambda text: text[:-1] + b",}",
    lambda text: text[:-1] + b',"\xed\xa0\x80":1}',
    lambda text: b"",
)


def _row(members: Members, number: int) -> dict[str, Any] | None:
    """What somebody would write into the table who knows its columns and types, and nothing of the contract."""
    if sorted(name for name, _ in members) != sorted(ENVELOPE_FIELDS):
        return None
    row: dict[str, Any] = {"log": LOG, "kafka_partition": 0, "kafka_offset": number}
    for name, text in members:
        try:
            row[name] = text if name == "payload" else _typed(text, EVENT_COLUMNS[name])
            text.encode()
        except (msgspec.MsgspecError, UnicodeEncodeError, OverflowError):
            return None
    return {name: row[name] for name in EVENT_COLUMNS}


def row_of_record(record: bytes, number: int) -> dict[str, Any] | None:
    """A record's fields as a row, as `Candidate.row`."""
    try:
        raw = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:
        return None
    return _row([(name, bytes(text).decode("utf-8", "surrogatepass")) for name, text in raw.items()], number)


def _typed(text: str, kind: str) -> Any:
    """A value as its column's type has it. Raises msgspec.MsgspecError where that type has no such value."""
    types: dict[str, Any] = {TEXT: str | None, INT32: int | None, TIMESTAMP: AwareDatetime | None}
    value = msgspec.json.decode(text.encode(), type=types[kind])
    return value.astimezone(dt.UTC) if isinstance(value, dt.datetime) else value
