"""Events of the events API in a day's run: accepted = published + duplicates + refused, whatever delivery does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas import books
from atlas import lake as keys
from atlas.events import DELIVERY_HOURS
from atlas.schema import DAILY_ACTIONS, DAILY_ACTIVITY, DATA_QUALITY, FILE_BOOKS
from lambda_day.process import run
from tests.engines import sweep
from tests.engines.conftest import on_duckdb
from tests.engines.delivered_events import Delivery, Event, Sent
from tests.engines.outputs import gold, rows_under
from tests.engines.remembered import LIMITS
from tests.lake_under_test import AS_OF, FRIDAY, SATURDAY, LakeUnderTest, lake_under_test


@pytest.fixture
def friday(lake: LakeUnderTest) -> Delivery:
    return Delivery(lake, FRIDAY)


def books_of_events(lake: LakeUnderTest) -> dict[str, int]:
    """Of the published day; no row, no books."""
    found = {row["raw_format"]: row for row in gold(lake, DATA_QUALITY, FRIDAY)}
    names = ("files", "records_in", "published", "duplicates", "rejected")
    return {name: found["events"][name] for name in names} if "events" in found else {}


def actions(lake: LakeUnderTest) -> set[tuple[str, str, int, int]]:
    return {
        (row["source"], row["action"], row["events"], row["users"]) for row in gold(lake, DAILY_ACTIONS, FRIDAY)
    }


def dirty_after(lake: LakeUnderTest, scratch: Path) -> bool:
    """Whether the day is dirty once it has been processed as the state machine does."""
    sweep.process(lake, FRIDAY, lambda given: void(run(given, lake.clients, LIMITS, scratch)))
    return FRIDAY in sweep.dirty_days(lake)


def test_events_count_once_beside_the_actions_of_log_files(
    lake: LakeUnderTest, friday: Delivery, tmp_path: Path
) -> None:
    """Copies of the delivery are no events; an event that was sent again is a duplicate; others' ids are others."""
    lake.drop("raw/app_log/a.log", b'{"timestamp": "2024-11-29T10:00:00Z", "user_id": "u1", "action": "login"}')
    first = Sent("shop", "r1", events=[Event(1, "a"), Event(2, "b", "buy", "u2"), Event(3, "c", user_id="u3")])
    again = Sent("shop", "r2", first.received_at + timedelta(seconds=1), [Event(1, "a", "logout"), Event(2, "d")])
    other = Sent("till", "r3", events=[Event(1, "a")])
    friday.arrives(friday.rows(first), friday.rows(first, 1))
    friday.arrives(friday.rows(again), friday.rows(other), friday.rows(first))
    friday.refused(other, 2, 3)
    friday.accepted(first, again)
    friday.accepted(first)  # delivered again
    friday.accepted(other, refused=2)
    assert not dirty_after(lake, tmp_path)
    assert books_of_events(lake) == {"files": 2, "records_in": 8, "published": 5, "duplicates": 1, "rejected": 2}
    assert actions(lake) == {("logs", "login", 1, 1), ("events", "login", 4, 2), ("events", "buy", 1, 1)}
    assert gold(lake, DAILY_ACTIVITY, FRIDAY)[0]["total_requests"] == 1
    by_client = {row["source_file"]: row for row in gold(lake, FILE_BOOKS, FRIDAY)}
    assert by_client.keys() == {"raw/app_log/a.log", "events/shop", "events/till"}
    assert by_client["events/till"]["rejected"] == 2
    refused = sorted(
        rows_under(lake, keys.rejected_records_prefix(FRIDAY)), key=lambda row: int(row["source_line"])
    )
    assert [
        (row["source_file"], row["source_line"], row["request_id"], row["reason"], row["detail"], row["raw"])
        for row in refused
    ] == [("events/till", place, "r3", "invalid_event", "action", '{"action": 1}') for place in (2, 3)]


def test_what_is_on_its_way_counts_when_it_has_arrived_and_keeps_its_day_dirty_until_then(
    lake: LakeUnderTest, friday: Delivery, tmp_path: Path
) -> None:
    done = Sent("shop", "r1", AS_OF, [Event(1, "a")])
    partly = Sent("shop", "r2", AS_OF, [Event(1, "b"), Event(2, "c")])
    no_receipt = Sent("shop", "r3", AS_OF, [Event(1, "d")])
    friday.accepted(done, partly)
    friday.arrives(friday.rows(done), friday.rows(partly, 1), friday.rows(no_receipt))
    assert dirty_after(lake, tmp_path)
    assert books_of_events(lake) == {"files": 1, "records_in": 1, "published": 1, "duplicates": 0, "rejected": 0}
    friday.arrives(friday.rows(partly, 2))
    assert not dirty_after(lake, tmp_path)
    assert books_of_events(lake) == {"files": 1, "records_in": 3, "published": 3, "duplicates": 0, "rejected": 0}
    friday.accepted(no_receipt)
    assert not dirty_after(lake, tmp_path)
    assert books_of_events(lake)["published"] == 4


def test_what_the_delivery_stream_could_not_write_or_lost_is_refused_and_counts_if_it_comes_after_all(
    lake: LakeUnderTest, friday: Delivery, tmp_path: Path
) -> None:
    given_up = AS_OF - timedelta(hours=DELIVERY_HOURS, seconds=1)
    sent = Sent("shop", "r1", given_up, [Event(1, "a"), Event(2, "b"), Event(3, "c"), Event(4, "d")])
    friday.accepted(sent)
    friday.arrives(friday.rows(sent, 1))
    friday.fails_to_be_written(friday.rows(sent, 1, 2))
    friday.fails_to_be_written(friday.rows(sent, 2))
    saturday = Delivery(lake, SATURDAY)
    saturday.fails_to_be_written(saturday.rows(sent, 3))  # of another day
    assert not dirty_after(lake, tmp_path)
    assert books_of_events(lake) == {"files": 1, "records_in": 4, "published": 1, "duplicates": 0, "rejected": 3}
    refused = rows_under(lake, keys.rejected_records_prefix(FRIDAY))
    assert sorted((row["reason"], row["detail"], row["source_line"], row["log_id"]) for row in refused) == [
        ("not_converted", "DataFormatConversion.ParseError", 2, "b"),
        ("not_delivered", None, None, None),
        ("not_delivered", None, None, None),
    ]
    friday.arrives(friday.rows(sent, 2, 3, 4))
    on_duckdb(lake, tmp_path, FRIDAY)
    assert books_of_events(lake) == {"files": 1, "records_in": 4, "published": 4, "duplicates": 0, "rejected": 0}


def test_events_beyond_what_was_accepted_are_out_of_balance(
    lake: LakeUnderTest, friday: Delivery, tmp_path: Path
) -> None:
    """Of a request that must have come to its end: nobody but the forwarder writes events."""
    early = AS_OF - timedelta(days=2)
    friday.accepted(Sent("shop", "r1", early, [Event(1, "a")]))
    friday.arrives(friday.rows(Sent("shop", "r1", early, [Event(1, "a"), Event(2, "b")])))
    with pytest.raises(books.BooksError, match=r"events/shop: 1 records in, but 2 in silver"):
        on_duckdb(lake, tmp_path, FRIDAY)


class Fate(NamedTuple):
    """Of one event: the id that it has, how often it arrives, and whether it was refused instead."""

    event_id: str
    arrives: int
    refused: bool


fates = st.builds(Fate, st.sampled_from("abc"), st.integers(0, 3), st.booleans())
requests = st.tuples(st.sampled_from(["shop", "till"]), st.lists(fates, min_size=1, max_size=4))


@given(history=st.lists(requests, max_size=6))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_delivery_does_what_was_accepted_is_published_or_a_duplicate_or_refused(
    history: list[tuple[str, list[Fate]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    settled: dict[str, list[Fate]] = {}
    with lake_under_test() as lake:
        friday, pending = Delivery(lake, FRIDAY), False
        for number, (client, request) in enumerate(history):
            sent = Sent(client, f"r{number}", AS_OF, _events(request))
            friday.accepted(replace(sent, events=_all(request)))
            for copy in range(3):
                friday.arrives(friday.rows(sent, *_arriving(request, copy)))
            friday.refused(sent, *(n for n, fate in enumerate(request, 1) if fate.refused))
            if any(fate.arrives == 0 and not fate.refused for fate in request):
                pending = True
            else:
                settled.setdefault(client, []).extend(request)
        assert dirty_after(lake, tmp_path_factory.mktemp("scratch")) == pending
        good = {client: [f.event_id for f in fates if not f.refused] for client, fates in settled.items()}
        published = sum(len(set(ids)) for ids in good.values())
        came, passed = sum(map(len, settled.values())), sum(map(len, good.values()))
        expected: dict[str, Any] = {
            "files": len(settled),
            "records_in": came,
            "published": published,
            "duplicates": passed - published,
            "rejected": came - passed,
        }
        assert books_of_events(lake) == (expected if settled else {})
        assert sum(events for source, _, events, _ in actions(lake) if source == "events") == published


def _all(request: Sequence[Fate]) -> list[Event]:
    return [Event(number, fate.event_id) for number, fate in enumerate(request, 1)]


def _events(request: Sequence[Fate]) -> list[Event]:
    return [event for event, fate in zip(_all(request), request, strict=True) if not fate.refused]


def _arriving(request: Sequence[Fate], copy: int) -> list[int]:
    """Positions; 0 is none."""
    return [n for n, fate in enumerate(request, 1) if fate.arrives > copy and not fate.refused] or [0]


def void(_: object) -> None:
    """Takes an answer that nobody wants."""
