"""An inquiry answered: unchanged, as it is kept, by Athena, or by a place to look.

**When an answer may be given again.** Its ETag is a hash of the resource, the question, its parameters, this code
and the version of the data: the receipts' ETags. They are listed before the query starts and again after it has
ended. If they are the same, the answer is of that version, is kept in memory, and is the same for whoever asks with
this ETag. If not, it is asked once more, and after that answered without an ETag. A day that is published, but that
Athena does not see yet because the crawler has not come by, gives no ETag either.

**When a result of Athena's may serve again.** Athena itself does not look whether data has changed. Each query's
text begins with the hash of its version, so equal texts ask of equal data; but Athena does not say that it compares
comments. So only results are asked for that are younger than everything that they are of, the newest receipt and
the newest partition, less the longest that a query may run, for a result's age counts from the end of its query.
A run replaces refused records before it puts its receipt: results of those never serve again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from lambda_query import answers
from lambda_query.athena import Athena, Execution, Label, Row
from lambda_query.catalog import Catalog
from lambda_query.clocks import Clocks
from lambda_query.inquiry import Data, Inquiry
from lambda_query.kept import Kept
from lambda_query.observed import tell
from lambda_query.problems import ProblemError
from lambda_query.versions import Version, Versions

_LONGEST_QUERY_MINUTES = 30
"""Athena's own limit: https://docs.aws.amazon.com/athena/latest/ug/service-limits.html"""
_OLDEST_RESULT_MINUTES = 7 * 24 * 60
"""That Athena takes."""
_ROUNDS = 2
_NOT_KNOWN = "-"
"""The version of live data, and of days that Athena does not see all of."""


@dataclass(frozen=True)
class _Asked:
    """An inquiry as it goes to Athena; `digest` is equal if resource, question and parameters are."""

    inquiry: Inquiry
    literals: list[str]
    digest: str
    begun: str | None
    until: float


@dataclass(frozen=True)
class Asking:
    """Answers inquiries, each within `wait_seconds`."""

    athena: Athena
    versions: Versions
    catalog: Catalog
    kept: Kept
    clocks: Clocks
    wait_seconds: float

    def answer(self, request: Request, inquiry: Inquiry) -> Response:
        """Raises ProblemError, and the errors of AWS's clients."""
        asked = self._asked(request, inquiry)
        body: bytes | None = None
        for _ in range(_ROUNDS):
            version = self._version(inquiry)
            etag = f'W/"{_hash(asked.digest, version.digest)}"'
            if inquiry.data is not Data.LIVE and (known := self._known(request, etag)):
                return known
            rows: Iterable[Row] = ()
            is_whole = True
            if _is_empty(inquiry, version):
                tell(request.scope, answered="nothing")
            else:
                execution = self._execution(asked, version)
                state = "running" if execution.running else "asked"
                tell(request.scope, answered=state, execution=execution.id, reused=execution.reused)
                if execution.running and body is None:
                    return answers.running(request, execution.id)
                if execution.running:
                    break
                rows = self.athena.rows(execution.id, inquiry.rows_at_once)
                is_whole = execution.label == Label(asked.digest, version.digest)
            body = answers.written(inquiry.shape(rows, version))
            if not is_whole:
                break
            if self._version(inquiry) == version:
                self.kept.put(etag, body)
                return answers.same_for(etag, body)
        return answers.once(body or b"")

    def _asked(self, request: Request, inquiry: Inquiry) -> _Asked:
        until = self.clocks.monotonic() + self.wait_seconds
        literals = inquiry.question.literals(inquiry.given, self.clocks.now().date())
        # Two resources may ask the same question, and answer in another form.
        resource = getattr(request.scope.get("route"), "path", "")
        digest = _hash(_code(), resource, inquiry.question.sql, *literals)
        return _Asked(inquiry, literals, digest, answers.begun(request), until)

    def _version(self, inquiry: Inquiry) -> Version:
        if inquiry.data is Data.LIVE:
            return Version()
        version = self.versions.of(inquiry.days, refused=inquiry.data is Data.REFUSED)
        if inquiry.expected not in (None, version.digest):
            raise ProblemError(409, "The day has been processed anew meanwhile: start again, without `next`.")
        return version

    def _known(self, request: Request, etag: str) -> Response | None:
        """The answer without Athena."""
        if answers.has(request, etag):
            tell(request.scope, answered="unchanged")
            return answers.unchanged(etag)
        body = self.kept.get(etag)
        if body is None:
            return None
        tell(request.scope, answered="kept")
        return answers.same_for(etag, body)

    def _execution(self, asked: _Asked, version: Version) -> Execution:
        """The query that was begun, or a new one, as it stands when it has ended, or when there is no more time."""
        if asked.begun is not None:
            self._check(asked.begun, asked)
            return self.athena.wait(asked.begun, asked.until)
        entered = self._entered(asked.inquiry, version)
        label = Label(asked.digest, _NOT_KNOWN if entered is None else version.digest)
        minutes = self._reuse_minutes(entered) if asked.inquiry.data is Data.GOLD else 0
        started = self.athena.start(label, asked.inquiry.question.sql, asked.literals, minutes)
        return self.athena.wait(started, asked.until)

    def _check(self, execution_id: str, asked: _Asked) -> None:
        """Nobody reads what somebody else asked of Athena, or the answer to another question than he names."""
        found = self.athena.find(execution_id)
        if (
            found is None
            or found.label is None
            or found.label.asked != asked.digest
            or found.sql != asked.inquiry.question.sql
        ):
            raise ProblemError(404, "There is no such answer: ask anew.")

    def _entered(self, inquiry: Inquiry, version: Version) -> datetime | None:
        if inquiry.data is Data.LIVE:
            return None
        first = inquiry.days.first if inquiry.days else None
        return self.catalog.entered(inquiry.question.sql, version, first)

    def _reuse_minutes(self, entered: datetime | None) -> int:
        if entered is None:
            return 0
        minutes = int((self.clocks.now() - entered).total_seconds() // 60) - _LONGEST_QUERY_MINUTES
        return max(0, min(minutes, _OLDEST_RESULT_MINUTES))


def _is_empty(inquiry: Inquiry, version: Version) -> bool:
    """Whether there is nothing to ask Athena: none of the days was ever processed."""
    return inquiry.data is not Data.LIVE and inquiry.days is not None and not version.objects


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    """A hash of this package: answers of another version of it may look different."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
