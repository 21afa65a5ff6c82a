"""Any history of uploads, corrections, copies, withdrawals, repeated, late, concurrent and interrupted deliveries,
expired objects and runs, against a model of what the books must be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from pyspark.sql import SparkSession

from atlas import lake as keys
from atlas.ledger import file_key
from atlas.orders import OrderKind
from atlas.restore import ValidatedGoneError
from atlas.schema import DAILY_ACTIVITY, DATA_QUALITY, FILE_BOOKS, HOURLY_ACTIVITY
from atlas.settings import JobSettings
from atlas_cli.local.s3_gateway import Gateway
from lambda_day.limits import Limits
from lambda_day.process import run
from lambda_ingest.events import LandedObject
from tests.engines import sweep
from tests.engines.conftest import mount, run_jobs
from tests.engines.outputs import gold
from tests.faults import INTERRUPTED, Interrupted, watched
from tests.lake_under_test import FRIDAY, SATURDAY, LakeUnderTest, lake_under_test
from tests.ledger_invariants import check

DAYS = (FRIDAY, SATURDAY)
NAMES = ("raw/a.ndjson", "raw/b.ndjson", "raw/late/c.ndjson")


class Line(NamedTuple):
    """A line of a file: a record of a day and hour, good or with an impossible status; or no record at all."""

    day: date | None
    hour: int = 0
    good: bool = True

    def text(self) -> str:
        status = 200 if self.good else 999
        time = f"{self.day}T{self.hour:02d}:00:00Z"
        return (
            json.dumps({"timestamp": time, "ip": "192.0.2.1", "status": status, "endpoint": "/"})
            if self.day
            else "{broken"
        )


LINES = [Line(FRIDAY, 1), Line(FRIDAY, 2), Line(SATURDAY, 3), Line(FRIDAY, 4, good=False), Line(None)]
Body = tuple[Line, ...]
BODIES: tuple[Body, ...] = tuple(
    tuple(LINES[number] for number in numbers)
    for numbers in ([], [4], [0], [0, 0, 1], [1, 2], [2, 4], [0, 1, 3], [2, 2, 0])
)
"""Few, so that the same bytes and the same records come in several files."""
names, bodies = st.sampled_from(NAMES), st.sampled_from(BODIES)


class Books(NamedTuple):
    """Of a file and a day."""

    records_in: int
    published: int
    duplicates: int
    rejected: int


def is_refused(body: Body) -> bool:
    """A file without any day is refused whole."""
    return bool(body) and not any(line.day for line in body)


def on(body: Body, day: date) -> Body:
    """What a body gives to a day: what is no record goes with the first."""
    first = min((line.day for line in body if line.day), default=None)
    return tuple(line for line in body if (line.day or first) == day)


def model(files: dict[str, Body], day: date) -> tuple[Counter[int], Books]:
    """The published records of a day by hour, and its books, from the bodies that count by key."""
    given = [on(body, day) for body in set(files.values())]
    counted = [Counter(line.hour for line in some if line.day and line.good) for some in given]
    published = Counter[int]()
    for hours in counted:
        published |= hours  # as often as the file that holds it most often
    came, passed = sum(map(len, given)), sum(hours.total() for hours in counted)
    return published, Books(came, published.total(), passed - published.total(), came - passed)


_NOTHING = model({}, FRIDAY)


class Version(NamedTuple):
    """One landed version of a file: `number` goes up with each."""

    number: int
    landed: LandedObject
    body: Body


Process = Callable[[LakeUnderTest, JobSettings], None]


class History(RuleBasedStateMachine):
    """A lake, its files as the model has them, and the days as they were published last."""

    process: Process

    def __init__(self) -> None:
        super().__init__()
        self.world = ExitStack()
        self.lake = self.world.enter_context(lake_under_test())
        self.landed: list[Version] = []
        self.waiting: list[Version] = []
        self.taken: dict[str, Version] = {}
        self.newest: dict[str, int] = {}
        self.gone: dict[str, int] = {}
        self.published: dict[date, tuple[Counter[int], Books]] = {}
        self.gold: dict[str, bytes] = {}

    def files(self) -> dict[str, Body]:
        """What counts by key: the newest version that was delivered, not refused, and not withdrawn since."""
        return {key: version.body for key, version in self.taken.items() if version.number > self.gone.get(key, 0)}

    def delivered(self, version: Version) -> None:
        key = version.landed.key
        self.newest[key] = max(version.number, self.newest.get(key, 0))
        if not is_refused(version.body) and (key not in self.taken or version.number > self.taken[key].number):
            self.taken[key] = version
        if version in self.waiting:
            self.waiting.remove(version)

    def ours(self) -> tuple[Any, Any]:
        return self.lake.s3, self.lake.ledger.meta.client

    @rule(key=names, body=bodies)
    def land(self, key: str, body: Body) -> None:
        text = "\n".join(line.text() for line in body).encode()
        version = Version(len(self.landed) + 1, self.lake.landed(key, text), body)
        self.landed.append(version)
        self.waiting.append(version)

    @rule(key=names, body=bodies)
    def drop(self, key: str, body: Body) -> None:
        self.land(key, body)
        self.take(self.landed[-1])

    @rule(which=st.integers(0))
    @precondition(lambda self: self.landed)
    def deliver_late_or_again(self, which: int) -> None:
        self.take(self.landed[-1 - which % len(self.landed)])

    def take(self, version: Version) -> None:
        self.lake.ingestion.take(version.landed)
        self.delivered(version)

    @rule(which=st.tuples(st.integers(0), st.integers(0)), at=st.integers(1, 20))
    @precondition(lambda self: self.landed)
    def deliver_while_another_is_delivered(self, which: tuple[int, int], at: int) -> None:
        one, other = (self.landed[-1 - number % len(self.landed)] for number in which)
        begun: list[int] = []

        def overtake(calls: list[str]) -> None:
            if len(calls) == at and not begun:
                begun.append(at)
                self.lake.ingestion.take(other.landed)

        with watched(self.ours(), overtake):
            self.lake.ingestion.take(one.landed)
        self.lake.ingestion.take(other.landed)
        for version in (one, other):
            self.delivered(version)

    @rule(data=st.data(), at=st.integers(1, 20), dies=st.booleans())
    @precondition(lambda self: self.waiting)
    def deliver_with_a_crash(self, data: st.DataObject, at: int, dies: bool) -> None:
        version = data.draw(st.sampled_from(self.waiting))
        with Interrupted(self.ours(), at, dies=dies), suppress(*INTERRUPTED):
            self.lake.ingestion.take(version.landed)
        self.take(version)

    @rule(key=names, at=st.integers(1, 20), dies=st.booleans())
    def withdraw(self, key: str, at: int, dies: bool) -> None:
        if key in self.newest:
            order = self.lake.order(OrderKind.WITHDRAW, key)
            with Interrupted(self.ours(), at, dies=dies), suppress(*INTERRUPTED):
                self.lake.ingestion.obey(order, self.lake.bucket)
            self.lake.ingestion.obey(order, self.lake.bucket)
            self.gone[key] = self.newest[key]

    @rule(key=names)
    def replay(self, key: str) -> None:
        if key in self.newest:
            was_withdrawn = self.lake.ledger.get_item(Key=file_key(key))["Item"]["state"] == "withdrawn"
            self.lake.obey(OrderKind.REPLAY, key)
            version = next(v for v in self.landed if v.number == self.newest[key])
            if was_withdrawn and not is_refused(version.body):
                self.gone[key] = 0
                self.taken[key] = version

    @rule()
    def sweep(self) -> None:
        """Every dirty day; whatever the runs find, a day that nobody touches meanwhile is clean then."""
        for day in sweep.dirty_days(self.lake):
            sweep.process(self.lake, day, lambda given: type(self).process(self.lake, given))
            self.published[day] = model(self.files(), day)
            assert self.read(day) == self.published[day], day
        assert sweep.dirty_days(self.lake) == []

    @rule(day=st.sampled_from(DAYS))
    def expire(self, day: date) -> None:
        """A day's validated objects go, and come again when it is processed; the books stay what they are."""
        for key in self.lake.keys(keys.VALIDATED):
            if keys.ValidatedKey.parse(key).day == day:
                self.lake.s3.delete_object(Bucket=self.lake.bucket, Key=key)
        with suppress(ValidatedGoneError):
            type(self).process(self.lake, self.lake.settings(day))
        for order in self.lake.orders():
            self.lake.ingestion.obey(order, self.lake.bucket)
        sweep.process(self.lake, day, lambda given: type(self).process(self.lake, given))
        self.published[day] = model(self.files(), day)
        assert self.read(day) == self.published[day], day

    @rule(day=st.sampled_from(DAYS), at=st.integers(1, 40))
    @precondition(lambda self: self.waiting)
    def deliver_while_a_day_is_processed(self, day: date, at: int) -> None:
        version = self.waiting[-1]
        before, begun = model(self.files(), day), list[int]()

        def land(calls: list[str]) -> None:
            if len(calls) == at and not begun:
                begun.append(at)
                self.lake.ingestion.take(version.landed)

        with watched(self.ours(), land):
            sweep.process(self.lake, day, lambda given: type(self).process(self.lake, given))
        if begun:
            self.delivered(version)
        self.published[day] = seen = self.read(day)
        after = model(self.files(), day)
        assert seen in (before, after)
        assert seen == after or day in sweep.dirty_days(self.lake)

    def analytics(self) -> dict[str, bytes]:
        return {key: body for key, body in self.lake.objects().items() if key.startswith(keys.ANALYTICS)}

    def read(self, day: date) -> tuple[Counter[int], Books]:
        """A day as readers find it. Its tables must agree, and its books balance, by file and in all."""
        lake, self.gold = self.lake, self.analytics()
        hours = Counter({row["hour"]: row["requests"] for row in gold(lake, HOURLY_ACTIVITY, day)})
        by_file, quality = gold(lake, FILE_BOOKS, day), gold(lake, DATA_QUALITY, day)
        for row in (*by_file, *quality):
            assert row["records_in"] == row["published"] + row["duplicates"] + row["rejected"], row
        books = Books(*(sum(row[name] for row in quality) for name in Books._fields))
        assert books == Books(*(sum(row[name] for row in by_file) for name in Books._fields))
        assert gold(lake, DAILY_ACTIVITY, day)[0]["total_requests"] == hours.total() == books.published
        return hours, books

    @invariant()
    def ledger_and_lake_agree_and_gold_is_as_it_was_published(self) -> None:
        check(self.lake)
        assert self.analytics() == self.gold
        clean = set(DAYS) - set(sweep.dirty_days(self.lake))
        assert all(
            model(self.files(), day) == self.published.get(day, (Counter(), Books(0, 0, 0, 0))) for day in clean
        )

    def teardown(self) -> None:
        try:
            for version in list(self.waiting):
                self.take(version)
            self.sweep()
            self.ledger_and_lake_agree_and_gold_is_as_it_was_published()
            assert self.lake.keys(keys.RAW) == []
        finally:
            self.world.close()


def _held(process: Process, *, examples: int, steps: int, always_the_same: bool = False) -> None:
    machine = type("History", (History,), {"process": staticmethod(process)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=always_the_same,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[phase for phase in Phase if phase is not Phase.explain],
        ),
    )


def test_whatever_happens_to_files_the_books_are_those_of_the_model(tmp_path: Path) -> None:
    """The day's work runs on DuckDB: test_equal_days.py holds Spark to the same."""
    limits = Limits.of(1769, 900_000)
    _held(lambda lake, given: void(run(given, lake.clients, limits, tmp_path)), examples=16, steps=15)


def test_and_so_they_are_on_spark(session: SparkSession, gateway: Gateway) -> None:
    def process(lake: LakeUnderTest, given: JobSettings) -> None:
        mount(lake, session, gateway)
        run_jobs(lake, session, given)

    _held(process, examples=1, steps=18, always_the_same=True)


def void(_: object) -> None:
    """Takes an answer that nobody wants."""
