from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.timestamps import iso_utc, parse_time

moments = st.datetimes(
    min_value=datetime(1975, 1, 1),
    max_value=datetime(2200, 1, 1),
    timezones=st.just(UTC),
)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, offsets)
def test_every_spelling_of_a_moment_is_that_moment(moment: datetime, zone: timezone) -> None:
    local = moment.astimezone(zone)
    offset = local.strftime("%z")
    clock = local.strftime("%Y-%m-%dT%H:%M:%S.%f")
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    spellings = [
        iso_utc(moment),
        clock + offset,
        clock + offset[:3] + ":" + offset[3:],
        clock.replace("T", " ") + offset,
        clock.replace("T", " ") + " " + offset,
        clock + "999" + offset,  # nanoseconds: what is finer than a microsecond is cut off
        micros * 1000,
        str(micros * 1000),
        f"{micros // 10**6}.{micros % 10**6:06d}",
        iso_utc(moment).replace(".", ","),
    ]
    assert {parse_time(spelling) for spelling in spellings} == {moment}


@given(moments.map(lambda moment: moment.replace(microsecond=0)), offsets)
def test_whole_seconds_have_further_spellings(moment: datetime, zone: timezone) -> None:
    local = moment.astimezone(zone)
    seconds = int(moment.timestamp())
    spellings = [
        local.strftime("%d/%b/%Y:%H:%M:%S %z"),
        f"[{local:%d/%b/%Y:%H:%M:%S %z}]",
        moment.strftime("%Y-%m-%d %H:%M:%S"),
        seconds, str(seconds), float(seconds), seconds * 1000, str(seconds * 1000), seconds * 10**6,
    ]  # fmt: skip
    assert {parse_time(spelling) for spelling in spellings} == {moment}


@given(moments)
def test_what_is_written_reads_back(moment: datetime) -> None:
    assert parse_time(iso_utc(moment)) == moment


@pytest.mark.parametrize(
    "value",
    ["", "-", "yesterday", "2024-02-30T00:00:00Z", "2024-11-29", "2024-11-29T24:00:00Z",
     "29/Foo/2024:00:00:00 +0000", 12, 0.5, True, None, float("nan"), float("inf"), 10**25,
     [1732900000], {"t": 1}, "0001-01-01T00:00:00+01:00",
     "9999-12-31T23:59:59-01:00", "20241129T101112Z", "2024-W48-5T10:00:00Z", "１７３２９０００００"],
    ids=str,
)  # fmt: skip
def test_what_is_no_time_is_none(value: object) -> None:
    assert parse_time(value) is None


@given(st.one_of(st.text(), st.floats(), st.integers(), st.binary()))
def test_nothing_makes_it_raise(value: object) -> None:
    parsed = parse_time(value)
    assert parsed is None or parsed.tzinfo is UTC
