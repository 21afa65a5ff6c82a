"""Pages of refused records: how a client goes on, and how much fits one answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from atlas.reasons import RecordReason
from lambda_query.athena import Row
from lambda_query.models import Refusal, Refusals
from lambda_query.problems import bad_parameter
from lambda_query.versions import Version

_MOST_RAW = 64 * 1024
"""Characters of one record's text. A record may have 4 MiB; its file has all of it."""
_MOST_PAGE = 1_000_000
"""Characters of all texts of a page, which then is shorter than was asked for."""
_MOST_TOKEN = 200
_MOST_PLACE = 2**53


@dataclass(frozen=True)
class Position:
    """After which refusal a page begins, of which version of the day."""

    version: str
    after: int

    def token(self) -> str:
        """As the client gets it: opaque, but no secret."""
        told = json.dumps({"v": self.version, "after": self.after}, separators=(",", ":"))
        return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, token: str) -> Position:
        """The inverse. Raises ProblemError."""
        try:
            if len(token) > _MOST_TOKEN:
                raise ValueError("too long")
            told = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True))
            version, after = told["v"], told["after"]
            if not (isinstance(version, str) and type(after) is int and 0 < after < _MOST_PLACE):
                raise ValueError("not a position")
        except (ValueError, KeyError, TypeError, RecursionError):
            raise bad_parameter("next", "expected what the answer before gave as `next`, unchanged") from None
        return cls(version, after)


def page(day: date, limit: int, rows: Iterable[Row], version: Version) -> Refusals:
    """The answer of at most `limit` rows of the question `refusals`."""
    items: list[Refusal] = []
    in_all, room = 0, _MOST_PAGE
    for row in rows:
        in_all = row["in_all"]
        item = _refusal(row)
        room -= len(item.raw or "")
        if items and room < 0:
            break
        items.append(item)
        if len(items) == limit:
            break
    is_last = not items or items[-1].place >= in_all
    following = None if is_last else Position(version.digest, items[-1].place).token()
    return Refusals(date=day, in_all=in_all, items=items, next=following)


def _refusal(row: Row) -> Refusal:
    raw: str | None = row["raw"]
    told: dict[str, Any] = {name: row[name] for name in ("place", "reason", "detail", "raw_format", "source_file")}
    return Refusal(
        **told,
        meaning=_meaning(row["reason"]),
        source_line=row["source_line"],
        raw=raw if raw is None else raw[:_MOST_RAW],
        raw_cut=raw is not None and len(raw) > _MOST_RAW,
    )


def _meaning(reason: str) -> str:
    """Of a reason that a former version knew there is none."""
    return RecordReason(reason).meaning if reason in [known.value for known in RecordReason] else ""
