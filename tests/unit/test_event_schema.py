"""What an event may be: the schema, what the forwarder makes of it, and the ids that the server gives."""

from __future__ import annotations

import json
import uuid
from copy import deepcopy
from datetime import timedelta
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atlas import events, schema
from atlas.events import RefusedEvent
from atlas.reasons import RecordReason
from lambda_events.forwarder_delivery import RECORD_BYTES
from lambda_events.forwarder_requests import Judged, Request, UnknownMessageError, judge
from tests.events_under_test import FRIDAY, RECEIVED, SATURDAY, event, record

texts = st.text(st.characters(codec=None), max_size=5) | st.sampled_from(
    ["", "\n", "a\n", "{x}", "{", "%s", "ü", "\U0001f600", "\ud800", "\x00", "A.b-c_9", "9a"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
lengths = st.sampled_from([0, 1, 2, 45, 46, 63, 64, 65, 128, 129, 256, 257, 1024, 1025])
_OWN = "01234567-89AB-cdef-0123-456789abcdef"
fields: dict[str, st.SearchStrategy[Any]] = {
    "event_id": st.sampled_from([_OWN, _OWN + "\n", _OWN[1:], "{" + _OWN + "}", _OWN.replace("-", ""), "x" * 36]),
    "timestamp": st.sampled_from(
        ["2024-11-29T10:00:00Z", "2024-11-29T10:00:00.123456+05:30", "2024-11-29T10:00:00", "2024-11-29T24:00:00Z",
         "2024-02-30T10:00:00Z", "2024-11-29 10:00:00Z", "2024-11-29T10:00:60Z", "2024-11-29T10:00:00.1234567Z",
         "1732838400",
         "2024-11-29T10:00:00Z\n", "0000-01-01T00:00:00Z", "2024-11-29T10:00:00-23:59", "٢024-11-29T10:00:00Z"]
    ),
    "ip_address": st.sampled_from(["192.0.2.1", "::1", "2001:db8::1%eth0", ":" * 46, "1", "192.0.2.1\n"]),
    "properties": st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,3}", fullmatch=True) | texts | lengths.map(lambda n: "n" * n),
        st.builds("ä".__mul__, lengths) | values,
        max_size=3,
    ) | st.integers(31, 34).map(lambda n: {f"n{i}": "" for i in range(n)}),
}  # fmt: skip
names = st.sampled_from(
    ["event_id", "timestamp", "user_id", "action", "device", "ip_address", "properties", "client_id"]
)


@st.composite
def nearly_good(draw: st.DrawFn) -> Any:
    """A good event with up to three changes, which leave it good or not."""
    made = event(event_id=_OWN, device="phone", ip_address="192.0.2.1", properties={"cart": "7"})
    for name in draw(st.lists(names | texts, max_size=3)):
        if draw(st.integers(0, 9)) == 0:
            made.pop(name, None)
        else:
            made[name] = draw(fields.get(name, st.builds("x".__mul__, lengths)) | values)
    return made


def events_on_bounds() -> list[dict[str, Any]]:
    """Of each field one that is as long as it may be, one that is longer, and an empty one."""
    found = events.schema()["definitions"]
    texts_ = {name: told["maxLength"] for name, told in found.items() if name in ("user_id", "action", "device")}
    changes: list[dict[str, Any]] = [{name: "x" * (n + more)} for name, n in texts_.items() for more in (0, 1, -n)]
    changes += [{"ip_address": ":" * length} for length in (1, 2, 45, 46)]
    most = found["properties"]["maxProperties"]
    changes += [{"properties": {f"n{i}": "" for i in range(number)}} for number in (0, most, most + 1)]
    changes += [{"properties": {"n" * length: ""}} for length in (0, 1, 64, 65)]
    changes += [{"properties": {"n": "x" * length}} for length in (1024, 1025)]
    return [event(**change) for change in changes]


def judged(body: Any, **more: Any) -> Judged:
    return judge(Request.of(record(body, **more)))


def refused(found: Judged) -> list[RefusedEvent]:
    return [one for day in sorted(found.refused) for one in found.refused[day]]


@given(nearly_good() | values)
@example(event(properties={"a\n": "x"}))
@example({**event(), "{": 1})
@settings(max_examples=200, deadline=None)
def test_the_forwarder_finds_an_event_invalid_exactly_if_another_reader_of_the_same_schema_does(one: Any) -> None:
    found = judged(json.dumps([one]))
    sent = json.loads(json.dumps(one))
    invalid = [r.reason for r in refused(found)] == [RecordReason.INVALID_EVENT]
    try:
        valid = jsonschema_rs.validator_for(events.event_schema()).is_valid(sent)
    except (ValueError, UnicodeEncodeError):  # it takes no single surrogates, nor numbers of any size
        return
    assert invalid is not valid


@given((st.lists(nearly_good() | values, max_size=5) | values).map(json.dumps) | st.text(max_size=9))
@example("[" * 100_000)
@example("[" * 1000 + "]" * 1000)
@example('[NaN, {"a": 1e999}]')
@settings(max_examples=150, deadline=None)
def test_every_event_of_a_body_is_delivered_or_refused_and_says_who_sent_it(body: str) -> None:
    found = judged(body)
    rows = [json.loads(line) for line in found.lines]
    refusals = refused(found)
    try:
        parsed = json.loads(body, parse_constant=float)
        whole = not parsed if isinstance(parsed, list) else False
        expected = len(parsed) if isinstance(parsed, list) and parsed else 1
    except (ValueError, RecursionError):
        whole, expected = True, 1
    if len(refusals) == 1 and refusals[0].position is None:
        assert whole or "NaN" in body or "Infinity" in body
        assert refusals[0].raw == body
    else:
        places = [row["position"] for row in rows] + [one.position for one in refusals]
        assert sorted(places) == [*range(1, expected + 1)]
    assert found.accepted.total() == len(rows) + len(refusals)
    assert set(found.accepted) <= {FRIDAY, SATURDAY}
    for row, line in zip(rows, found.lines, strict=True):
        assert line.endswith(b"}\n")
        assert tuple(row) == schema.EVENTS.column_names
        assert (row["client_id"], row["received_at"]) == ("shop", "2024-11-30 00:02:00.000000")
        assert row["event_timestamp"][:10] in ("2024-11-29", "2024-11-30")
        assert events.is_event_id(row["event_id"])
        assert row["event_id"] == row["event_id"].lower()
    for one in refusals:
        assert one.client_id == "shop"
        assert RefusedEvent.from_line(one.to_line()) == one
        assert one.to_line().count("\n") == 1
        "".join(filter(None, (one.raw, one.detail, one.event_id, one.event_time))).encode()  # can be stored
        if one.position and one.raw is not None:
            json.loads(one.raw)


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"user_id": None}, RecordReason.INVALID_EVENT, "user_id"),
        ({"action": "a" * 129}, RecordReason.INVALID_EVENT, "action"),
        ({"client_id": "another"}, RecordReason.INVALID_EVENT, "client_id"),
        ({"received_at": "2024-11-29T10:00:00Z"}, RecordReason.INVALID_EVENT, "received_at"),
        ({"properties": {"a.b": 1}}, RecordReason.INVALID_EVENT, "properties.a.b"),
        ({"properties": {"a b": "1"}}, RecordReason.INVALID_EVENT, "properties"),
        ({"event_id": "no-uuid"}, RecordReason.INVALID_EVENT, "event_id"),
        ({"timestamp": "2024-02-30T10:00:00Z"}, RecordReason.NO_EVENT_TIME, "timestamp"),
        ({"timestamp": "2024-11-23T00:01:59.999999Z"}, RecordReason.TIME_OUT_OF_RANGE, "timestamp"),
        ({"timestamp": "2024-11-30T00:07:00.000001Z"}, RecordReason.TIME_OUT_OF_RANGE, "timestamp"),
        ({"properties": {"a": "\ud800"}}, RecordReason.INVALID_BYTES, "properties"),
    ],
)  # fmt: skip
def test_a_refused_event_names_its_field_and_takes_no_other_with_it(
    change: dict[str, Any], reason: RecordReason, detail: str
) -> None:
    found = judged([event(), event(**change), event()])
    assert [json.loads(line)["position"] for line in found.lines] == [1, 3]
    [one] = refused(found)
    assert (one.reason, one.detail, one.position) == (reason, detail, 2)
    assert json.loads(one.raw or "") == event(**change)


def test_a_missing_field_is_named() -> None:
    assert [one.detail for one in refused(judged([{"timestamp": "2024-11-29T10:00:00Z"}, 7, {}]))] == [
        "action",
        None,
        "action",
    ]


def test_events_on_the_bounds_of_time_are_good_and_count_for_their_own_day() -> None:
    oldest, newest = RECEIVED - events.OLDEST, RECEIVED + events.NEWEST
    found = judged([event(moment.strftime("%Y-%m-%dT%H:%M:%SZ")) for moment in (oldest, newest)])
    assert found.accepted == {oldest.date(): 1, newest.date(): 1}
    assert not found.refused


def test_a_refused_event_counts_for_the_day_of_its_time_if_that_can_be_and_else_for_the_day_it_came() -> None:
    bad = [event(user_id=""), event("2024-11-20T10:00:00Z"), event("never"), 5]
    found = judged(bad)
    assert {day: [one.position for one in ones] for day, ones in found.refused.items()} == {
        FRIDAY: [1], SATURDAY: [2, 3, 4]
    }  # fmt: skip
    assert [one.event_time for one in refused(found)] == [
        "2024-11-29T10:00:00Z",
        "2024-11-20T10:00:00Z",
        None,
        None,
    ]


def test_what_is_beyond_the_most_events_of_a_request_is_refused_one_by_one() -> None:
    found = judged([event() for _ in range(events.MOST_EVENTS + 2)])
    assert len(found.lines) == events.MOST_EVENTS
    assert [(one.reason, one.position) for one in refused(found)] == [
        (RecordReason.INVALID_EVENT, events.MOST_EVENTS + 1), (RecordReason.INVALID_EVENT, events.MOST_EVENTS + 2)
    ]  # fmt: skip


def test_of_equal_names_the_last_one_counts_in_whatever_way_the_body_has_to_be_read() -> None:
    body = '[{"timestamp":"2024-11-29T10:00:00Z","user_id":"a","user_id":"b","action":"x"}%s]'
    for more in ("", ',{"user_id":"\\ud800"}'):
        assert [json.loads(line)["user_id"] for line in judged(body % more).lines] == ["b"]


def test_given_ids_are_uuids_of_version_8_each_its_own_and_the_same_for_every_delivery() -> None:
    many = [judged([event()] * 500, number=number) for number in (1, 2, 1)]
    ids = [[json.loads(line)["event_id"] for line in found.lines] for found in many]
    assert ids[0] == ids[2]
    assert len({*ids[0], *ids[1]}) == 1000
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in ids[0]} == {(8, uuid.RFC_4122)}
    later = judged([event()], number=1, received_at=RECEIVED + timedelta(milliseconds=1))
    assert json.loads(later.lines[0])["event_id"] not in ids[0]


def test_a_request_id_that_is_no_uuid_still_gives_ids() -> None:
    known = "0A1B2C3D-0000-4000-8000-A1B2C3D4E5F6"
    assert events.given_event_id("1732924800000", known, 500) == "17329248-0000-8049-890a-a1b2c3d4e5f6"
    for other in ("", "Root=1-5759e988", known + "0", "ü" * 36):
        assert events.given_event_id("1732924800000", other, 1) == "17329248-0000-8000-8000-000000000000"
    with pytest.raises(ValueError, match="position"):
        events.given_event_id("1732924800000", known, 1001)


def test_the_largest_event_is_far_smaller_than_a_record_of_the_delivery_stream_may_be() -> None:
    def longest(length: int) -> str:
        return "\x01" * length  # six bytes of JSON each

    properties = {f"n{number:063d}": longest(1024) for number in range(32)}
    large = event(user_id=longest(256), action=longest(128), device=longest(128), properties=properties)
    [line] = judged(large).lines
    assert 200_000 < len(line) < RECORD_BYTES / 4


def test_one_event_and_each_event_of_a_list_follow_the_same_schema() -> None:
    whole = deepcopy(events.schema())
    one = whole.pop("items")
    assert one.pop("type") == "object"
    assert {name: whole[name] for name in one} == one
    assert whole["maxItems"] == events.MOST_EVENTS


def test_a_message_that_the_gateway_did_not_send_is_an_error_and_quotes_nothing() -> None:
    for name in events.ATTRIBUTES:
        strange = record([event()])
        del strange["messageAttributes"][name]
        with pytest.raises(UnknownMessageError):
            Request.of(strange)
    for moment in ("secret", "9" * 30):
        strange = record([event()])
        strange["messageAttributes"][events.RECEIVED_AT]["stringValue"] = moment
        with pytest.raises(UnknownMessageError) as fault:
            Request.of(strange)
        assert moment not in str(fault.value)
