"""A log's time, as text or number, to an aware UTC datetime, or to nothing. And back to text.

Read are ISO 8601 (`Z`, offsets with or without colon, a space for the T, up to nanoseconds), the epoch in
seconds, milli-, micro- or nanoseconds as number or string, and the Apache and nginx form
`29/Nov/2024:23:16:50 +0000`. What is finer than a microsecond is cut off.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS_PER_UNIT = ((10**11, 1_000_000), (10**14, 1_000), (10**17, 1), (10**20, Decimal("0.001")))
"""Below 10**11 a number means seconds (until the year 5138), below 10**14 milliseconds, and so on."""

_EARLIEST_EPOCH = 10**8
"""Smaller numbers (before March 1973) are durations or counters under a misleading name, not times."""

_LONGEST = 64
"""No time is written longer, blanks included; what is would cost time and memory for nothing."""

_ISO = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)? ?(?:Z|[+-][0-9:]{2,6})?", re.IGNORECASE | re.ASCII
)
_NUMBER = re.compile(r"[0-9]{9,20}(\.[0-9]+)?")
_APACHE = re.compile(r"([0-9]{1,2})/([A-Z][a-z]{2})/([0-9]{4}):([0-9]{2}:[0-9]{2}:[0-9]{2})(?: ([+-][0-9]{4}))?")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}


def parse_time(value: object, zone: tzinfo = UTC) -> datetime | None:
    """The time that a field's value means, in UTC; None if it means none. Text that names no zone is in `zone`.

    An hour that a zone's clocks show twice is its first occurrence, as in PEP 495.
    """
    if isinstance(value, str):
        return _from_text(value.strip(), zone) if len(value) <= _LONGEST else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_epoch(str(value))
    return None


def iso_utc(moment: datetime) -> str:
    """`2024-11-29T23:16:50Z`, with six digits of fraction if there is one. `moment` is aware."""
    utc = moment.astimezone(UTC)
    return f"{utc.date().isoformat()}T{utc.time().isoformat()}Z"


def _from_text(text: str, zone: tzinfo) -> datetime | None:
    if _ISO.fullmatch(text):
        return _from_iso(text, zone)
    if _NUMBER.fullmatch(text):
        return _from_epoch(text)
    apache = _APACHE.fullmatch(text.strip("[]"))
    if apache and apache[2] in _MONTHS:
        day, month, year, clock, offset = apache.groups()
        return _from_iso(f"{year}-{_MONTHS[month]:02d}-{day:0>2}T{clock}{offset or ''}", zone)
    return None


def _from_iso(text: str, zone: tzinfo) -> datetime | None:
    if text[11:13] == "24":  # Python 3.13 reads it as the next day's midnight, 3.11 does not
        return None
    try:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:  # a blank before the offset, or small letters
            moment = datetime.fromisoformat(text.replace(" ", "T", 1).replace(" ", "").upper())
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _from_epoch(text: str) -> datetime | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or number < _EARLIEST_EPOCH:
        return None
    for limit, microseconds in _MICROSECONDS_PER_UNIT:
        if number < limit:
            try:
                return _EPOCH + timedelta(microseconds=int(number * microseconds))
            except OverflowError:
                return None
    return None
