"""Events as an odd producer would write them: every value that a contract may stumble over, alone and in mixtures."""

import json
from itertools import product
from typing import Any

import hypothesis.strategies as st

from platform_assets.contracts.events import ENVELOPE_FIELDS, MAX_EVENT_BYTES, MAX_NESTING, encode_event
from platform_assets.contracts.payloads import PURCHASE_LINE
from tests.streaming_records import an_event

PURCHASE: dict[str, Any] = {
    "basket_id": "31198570044",
    "product_id": "1095275",
    "store_id": "330",
    "quantity": 1,
    "sales_value": 0.5,
    "retail_disc": 0.0,
    "coupon_disc": 0.25,
    "coupon_match_disc": 0.0,
}


def _nested(depth: int, opening: str, closing: str) -> str:
    return '{"a":' + opening * (depth - 1) + "0" + closing * (depth - 1) + "}"


def _quoted(*texts: str) -> list[str]:
    return [json.dumps(text) for text in texts]


TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
_NUMBERS = [
    "1",
    "1.0",
    "-0.0",
    "-0",
    "1e3",
    "0.1e1",
    "1e22",
    "5e-324",
    "1e-400",
    "1E400",
    "01",
    "1.",
    "NaN",
    "Infinity",
]
_BIG_NUMBERS = ["9223372036854775808", "-9223372036854775809", "123456789012345678901234567890"]
_TEXTS = ['"x"', '"é"', '"\\u00e9"', '"\\ud800"', '"\\udc00"', '"\\ud83d\\ude00"', '"\\n"', '"\n"', '"\\q"', '"[{\\""']
_SCALARS = [*_NUMBERS, *_BIG_NUMBERS, *_TEXTS, "null", "true", "tru", "[]", "{}", '{"a":1,"a":2}', "[1 , 2]"]
_IDENTIFIERS = [
    *_quoted(
        "e1", "", "a b", "é", "x" * 128, "x" * 129, "é" * 64, "a\n", "\n", "\0", "A._:@/+=-", 'q"', "\\", "a,b", "a*"
    ),
    *("null", "3", "[]", '"\\u0061"', '"\\ud800"'),
]
_NAMES = [
    *_quoted("page_view", "A", "1a", "", "a b", "a\n", "n" * 128, "n" * 129, "ä", "_x", "a:b", PURCHASE_LINE),
    *("null", "3"),
]
_DATES = [
    "2026-11-23",
    "2024-02-29",
    "2023-02-29",
    "1900-01-01",
    "1899-12-31",
    "2199-12-31",
    "2200-01-01",
    "0000-01-01",
]
_DATES += ["0001-01-01", "9999-12-31", "2026-13-01", "2026-00-10", "2026-1-01", "20261123", "+2026-01-1", "2026/11/23"]
_CLOCKS = ["12:00:00", "00:00:00", "23:59:59", "24:00:00", "23:59:60", "12:60:00", "12:00", "12", "1:00:00", "12.00.00"]
_FRACTIONS = ["", ".", ",5", ".-1", *("." + "123456789"[:digits] for digits in range(1, 10))]
_OFFSETS = [
    "Z",
    "z",
    "",
    "+05:30",
    "-05:00",
    "+00:00",
    "-00:00",
    "+23:59",
    "-23:59",
    "+24:00",
    "+05:60",
    "+0530",
    "+05",
]
_OFFSETS += [" Z", "ZZ", "+5:30", "Z+05:30", "-12:00Z"]
_TIMES = [
    *(
        "".join(parts)
        for parts in product(_DATES, "Tt ", ["12:00:00", "00:00:00", "23:59:59"], [""], ["Z", "+05:30", "-05:00"])
    ),
    *("".join(parts) for parts in product(["2026-11-23"], "T", _CLOCKS, _FRACTIONS, _OFFSETS)),
    *("", "T", "now", "2026-11-23", "2026-11-23T12:00:00.000001" + "é", "1763899200", "x" * 40),
]
_TIME_TEXTS = [*_quoted(*_TIMES), "null", "3", '"2026-11-23T12:00:00\\u005a"']
_PAYLOADS = [
    *(f'{{"a":{scalar}}}' for scalar in _SCALARS),
    *(f'{{"a":1,"a":{scalar},"b":[{scalar}]}}' for scalar in _SCALARS),
    *(f'{{ "b" : 1,\t"a"\n: {scalar} }}' for scalar in _SCALARS),
    *(_nested(depth, *pair) for depth in range(MAX_NESTING - 1, MAX_NESTING + 4) for pair in (('{"a":', "}"), "[]")),
    *(_nested(depth, "[", "]") for depth in (60, 2_000)),
    *("{}", "null", "[]", "1", '{"a":1,}', "{", '{"a":"' + "[{" * 40 + '"}', '{"a":[' + "{}," * 40 + "{}]}"),
]
_WRONG = [
    "-1",
    "0",
    '""',
    '"1"',
    '"' + "x" * 64 + '"',
    '"' + "x" * 65 + '"',
    "1000000",
    "1000000.5",
    "10000001",
    "0.3",
    "true",
]


def _purchase(fields: dict[str, str], comma: str = ",") -> str:
    return "{" + comma.join(f'"{name}":{value}' for name, value in fields.items()) + "}"


_PURCHASE = {name: json.dumps(value) for name, value in PURCHASE.items()}
PURCHASES = [
    *(_purchase(_PURCHASE, comma) for comma in (",", ", ")),
    _purchase(dict(reversed(_PURCHASE.items()))),
    _purchase(_PURCHASE | {"extra": "1"}),
    *(_purchase({kept: value for kept, value in _PURCHASE.items() if kept != name}) for name in PURCHASE),
    *(
        _purchase(_PURCHASE | {name: value})
        for name in PURCHASE
        for value in [*_NUMBERS, *_BIG_NUMBERS, *_TEXTS, *_WRONG]
    ),
    *(_purchase(_PURCHASE)[:-1] + f',"{name}":{value}}}' for name in PURCHASE for value in [*_NUMBERS, *_WRONG]),
    *(f'{{"{name}":{value},' + _purchase(_PURCHASE)[1:] for name in PURCHASE for value in [*_NUMBERS, *_WRONG]),
]

VARIANTS: dict[str, list[str]] = {
    **dict.fromkeys(("event_id", "user_id", "session_id", "correlation_id"), _IDENTIFIERS),
    **dict.fromkeys(("event_name", "source_service"), _NAMES),
    **dict.fromkeys(("occurred_at", "received_at"), _TIME_TEXTS),
    "event_type": [*_quoted("custom", "CUSTOM", "", "custom "), "null", '"custo\\u006d"'],
    "schema_version": ["1", "0", "2", "1.0", "1e0", '"1"', "null", "true"],
    "traceparent": [*_quoted(TRACE, TRACE + "\n", TRACE.upper(), "00-x", "", "é"), "null"],
    "payload": _PAYLOADS,
}
"""By field of the envelope, values as JSON text, good and bad ones; some are no JSON."""


def with_field(whole: bytes, name: str, value: str) -> bytes:
    """An event as the door writes it, with one field's JSON replaced."""
    fields = {field: json.dumps(content, separators=(",", ":")) for field, content in json.loads(whole).items()} | {
        name: value
    }
    return ("{" + ",".join(f'"{field}":{text}' for field, text in fields.items()) + "}").encode(
        "utf-8", "surrogatepass"
    )


@st.composite
def records(draw: st.DrawFn) -> bytes | None:
    """A record: a valid one, with up to two fields changed, doubled, lost or added, and its bytes damaged or padded."""
    event_name = draw(st.sampled_from(["page_view", PURCHASE_LINE]))
    event = an_event(
        draw(st.sampled_from(["e1", "e2", "0f8fad5b-d9cb-469f-a165-70867728950e"])),
        event_name=event_name,
        session_id=draw(st.sampled_from([None, "s1"])),
        payload=PURCHASE if event_name == PURCHASE_LINE else {"a": 1},
        traceparent=draw(st.sampled_from([None, TRACE])),
    )
    whole = encode_event(event)
    if draw(st.booleans()):
        return whole
    variants = VARIANTS | {"payload": PURCHASES if event_name == PURCHASE_LINE else VARIANTS["payload"]}
    members = [(name, json.dumps(value)) for name, value in json.loads(whole).items()]
    fields = dict(members)
    for name in draw(st.lists(st.sampled_from(ENVELOPE_FIELDS), max_size=2)):
        fields[name] = draw(st.sampled_from(variants[name]))
    members = list(fields.items())
    for name in draw(st.lists(st.sampled_from(ENVELOPE_FIELDS), max_size=1)):
        twice = (name, draw(st.sampled_from([*variants[name], fields[name]])))
        members.insert(draw(st.sampled_from([0, len(members)])), twice)
    if draw(st.integers(0, 9)) == 0:
        members.pop(draw(st.integers(0, len(members) - 1)))
    if draw(st.integers(0, 9)) == 0:
        members.append(("unknown", "1"))
    if draw(st.booleans()):
        members.reverse()
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), ("\n,", ":")]))
    names_as_sent = [name.replace("e", "\\u0065") if draw(st.integers(0, 19)) == 0 else name for name, _ in members]
    text = "{" + comma.join(f'"{name}"{colon}{value}' for name, (_, value) in zip(names_as_sent, members, strict=True))
    value = (text + "}" + draw(st.sampled_from(["", "", "\n", " x"]))).encode("utf-8", "surrogatepass")
    damage = draw(st.integers(0, 19))
    if damage == 0:
        place = draw(st.integers(0, len(value) - 1))
        return value[:place] + draw(st.binary(max_size=1)) + value[place + 1 :]
    if damage == 1:
        return value.replace(b"}", b" " * MAX_EVENT_BYTES + b"}")
    return value
