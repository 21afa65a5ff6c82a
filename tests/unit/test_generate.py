"""The generator's truth, checked by an independent reader: the standard library and the rules in words."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from atlas_cli.generate import EXPECTED, MIN_RECORDS, Truth, generate

SAMPLE = Path(__file__).resolve().parents[2] / "sample-dataset"
ONE = date(2025, 3, 1)
RUNS: dict[str, dict[str, Any]] = {
    "the sample": {},
    "one day": {"days": [ONE], "seed": 7, "records_per_day": 600},
    "the smallest, three days across February": {
        "days": [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)],
        "seed": 3,
        "records_per_day": MIN_RECORDS,
    },
    "days apart": {"days": [ONE, date(2025, 3, 5)], "seed": 1, "records_per_day": 900},
}


def inflated(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): inflated(path) for path in files}


@pytest.fixture(scope="module", params=list(RUNS.values()), ids=list(RUNS))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    directory = tmp_path_factory.mktemp("generated")
    return directory, generate(directory, **request.param)


def test_the_committed_sample_is_what_the_generator_writes(tmp_path: Path) -> None:
    generate(tmp_path)
    fresh, committed = contents(tmp_path), contents(SAMPLE)
    assert sorted(fresh) == sorted(committed), "run: atlas generate sample-dataset"
    assert [name for name in fresh if fresh[name] != committed[name]] == [], "run: atlas generate sample-dataset"


def test_the_sample_is_small_enough_to_commit() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 3_000_000


def test_expected_json_is_the_truth(run: tuple[Path, Truth]) -> None:
    directory, truth = run
    assert json.loads((directory / EXPECTED).read_text()) == json.loads(json.dumps(asdict(truth)))


def test_another_seed_gives_other_data(tmp_path: Path) -> None:
    generate(tmp_path / "a", seed=1, days=[ONE], records_per_day=MIN_RECORDS)
    generate(tmp_path / "b", seed=2, days=[ONE], records_per_day=MIN_RECORDS)
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert sorted(a) == sorted(b)
    assert {name for name in a if a[name] == b[name]} <= {name for name in a if not a[name]}


def test_the_order_of_hashes_changes_nothing() -> None:
    program = (
        "import hashlib, sys, tempfile, pathlib, datetime; from atlas_cli.generate import generate\n"
        "with tempfile.TemporaryDirectory() as d:\n"
        f"    generate(pathlib.Path(d), days=[datetime.date(2025, 3, 1)], records_per_day={MIN_RECORDS})\n"
        "    files = sorted(p for p in pathlib.Path(d).rglob('*') if p.is_file())\n"
        "    print(hashlib.sha256(b''.join(p.read_bytes() for p in files)).hexdigest())\n"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            cwd=SAMPLE.parent,
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Pacific/Auckland"))
    }
    assert len(seen) == 1


def test_a_day_is_the_same_alone_but_for_what_crosses_midnight(tmp_path: Path) -> None:
    generate(tmp_path / "alone", days=[ONE], records_per_day=MIN_RECORDS)
    generate(tmp_path / "both", days=[ONE, date(2025, 3, 2)], records_per_day=MIN_RECORDS)
    alone, both = contents(tmp_path / "alone"), contents(tmp_path / "both")
    name = f"{ONE}/errors_{ONE}.xml"
    assert alone[name] == both[name]


@pytest.mark.parametrize("arguments", [{"days": []}, {"records_per_day": MIN_RECORDS - 1}])
def test_what_cannot_be_generated_is_said(tmp_path: Path, arguments: Mapping[str, object]) -> None:
    with pytest.raises(ValueError, match=r"at least"):
        generate(tmp_path, **arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_the_truths_own_books_balance(run: tuple[Path, Truth]) -> None:
    _, truth = run
    for day, told in truth.days.items():
        for name, books in told.formats.items():
            assert books.records_in == books.published + books.duplicates + sum(books.rejected.values())
            given = [file.records.get(day, 0) for file in truth.files if file.format == name]
            assert (books.records_in, books.files) == (sum(given), sum(1 for count in given if count))
        activity = told.daily_activity
        assert activity.total_requests == sum(books.published for books in told.formats.values())
        for counts in (activity.requests_by_status, activity.requests_by_type, activity.requests_by_app):
            assert sum(counts.values()) == activity.total_requests


def test_every_day_has_every_trouble(run: tuple[Path, Truth]) -> None:
    _, truth = run
    for day, told in truth.days.items():
        assert Counter(file.state.value for file in truth.files if file.path.startswith(day)) >= Counter(
            ingested=4, duplicate=1, empty=1
        )
        assert sum(1 for books in told.formats.values() if books.duplicates) == 2
        for name, books in told.formats.items():
            reasons = {"missing_field", "invalid_status_code", "no_event_time", "malformed_record"}
            impossible = {"xml_errors": {"malformed_record"}, "app_log": {"invalid_status_code"}}
            missed = reasons - set(books.rejected) - impossible.get(name, set())
            assert missed <= ({"malformed_record"} if name == "json_gzip" else set())


def test_a_file_that_adds_nothing_holds_nothing_new(run: tuple[Path, Truth]) -> None:
    directory, truth = run
    for file in truth.files:
        data = (directory / file.path).read_bytes()
        if file.state == "duplicate":
            assert file.same_as
            assert data == (directory / file.same_as).read_bytes()
        elif file.state == "empty":
            assert inflated(directory / file.path) == b""


def test_some_records_carry_the_date_of_another_day_than_their_own() -> None:
    found = [
        time
        for path in SAMPLE.rglob("*.ndjson")
        for record in read(path)
        if (time := record.time()) and not str((record.fields or {})["timestamp"]).startswith(str(time.date()))
    ]
    assert found


# An independent recount. Nothing below uses the generator: it reads the files and applies the rules.


@dataclass(frozen=True)
class Read:
    """A record as the standard library reads it."""

    line: int
    identity: str
    fields: Mapping[str, object] | None

    def time(self) -> datetime | None:
        value = (self.fields or {}).get("timestamp") or (self.fields or {}).get("errorTime")
        try:
            return datetime.fromisoformat(str(value)).astimezone(UTC)
        except ValueError:
            return None


def read(path: Path) -> Iterator[Read]:
    text = inflated(path).decode()
    if text.startswith("<"):
        for line, element in enumerate(ET.fromstring(text), start=1):  # noqa: S314 - our own file
            fields = {child.tag: child.text for child in element}
            yield Read(line, json.dumps(fields), fields)
    elif text.startswith("["):
        for line, item in enumerate(json.loads(text), start=1):
            yield Read(line, json.dumps(item), item)
    else:
        for line, one in enumerate(text.splitlines(), start=1):
            try:
                yield Read(line, one, json.loads(one))
            except ValueError:
                yield Read(line, one, None)


def reason(name: str, record: Read) -> str | None:
    if record.fields is None:
        return "malformed_record"
    if record.time() is None:
        return "no_event_time"
    get = record.fields.get
    if name == "app_log":
        sound = (get("level") and get("message")) or (get("user_id") and get("action"))
        return None if sound else "missing_field"
    required = ("errorCode", "message") if name == "xml_errors" else ("ip", "endpoint", "status")
    if any(get(key) is None for key in required):
        return "missing_field"
    status = str(get("status", get("errorCode")))
    return None if status.isdigit() and 100 <= int(status) <= 599 else "invalid_status_code"


@dataclass
class Recount:
    """Books and activity of one day, gathered file by file."""

    files: Counter[str]
    records_in: Counter[str]
    rejected: Counter[tuple[str, str]]
    held: list[tuple[str, Counter[str]]]
    seen: dict[tuple[str, str], Read]


def recount(directory: Path, truth: Truth) -> dict[str, Recount]:
    days = {day: Recount(Counter(), Counter(), Counter(), [], {}) for day in truth.days}
    for file in truth.files:
        if file.state != "ingested":
            continue
        name = str(file.format)
        records = list(read(directory / file.path))
        first = min(time for record in records if (time := record.time())).date()
        here: dict[str, Counter[str]] = {day: Counter() for day in days}
        for record in records:
            time = record.time()
            day = str(time.date() if time else first)
            days[day].records_in[name] += 1
            if why := reason(name, record):
                days[day].rejected[name, why] += 1
            else:
                here[day][record.identity] += 1
                days[day].seen[name, record.identity] = record
        for day, counts in here.items():
            if counts:
                days[day].files[name] += 1
                days[day].held.append((name, counts))
    return days


def published(day: Recount) -> Counter[tuple[str, str]]:
    most: Counter[tuple[str, str]] = Counter()
    for name, counts in day.held:
        most |= Counter({(name, identity): times for identity, times in counts.items()})
    return most


def test_the_files_recount_to_the_books(run: tuple[Path, Truth]) -> None:
    directory, truth = run
    for day, found in recount(directory, truth).items():
        most = published(found)
        for name, books in truth.days[day].formats.items():
            rejected = {why: count for (held, why), count in found.rejected.items() if held == name}
            count = sum(times for (held, _), times in most.items() if held == name)
            assert (found.files[name], found.records_in[name]) == (books.files, books.records_in)
            assert rejected == books.rejected
            assert count == books.published


def test_the_files_recount_to_the_daily_activity(run: tuple[Path, Truth]) -> None:
    directory, truth = run
    defaults = {"ndjson": "web_app_1", "json_gzip": "api_service"}
    for day, found in recount(directory, truth).items():
        by: dict[str, Counter[str]] = {"status": Counter(), "type": Counter(), "app": Counter()}
        ips, errors = set(), 0
        for (name, identity), times in published(found).items():
            get = (found.seen[name, identity].fields or {}).get
            status = get("status") or get("errorCode")
            own = get("app") or get("app_name") or get("service")
            by["status"][str(status or "(none)")] += times
            by["type"][str(get("request_type") or "(none)").upper().replace("(NONE)", "(none)")] += times
            by["app"][str(own or defaults.get(name, "(none)"))] += times
            ips.add(get("ip") or get("clientIp"))
            level = str(get("level")).upper()
            errors += times * (int(str(status or 0)) >= 400 or level in {"ERROR", "CRITICAL", "FATAL"})
        activity = truth.days[day].daily_activity
        assert activity.requests_by_status == by["status"]
        assert activity.requests_by_type == by["type"]
        assert activity.requests_by_app == by["app"]
        assert activity.unique_ips == len(ips - {None})
        assert activity.total_errors == errors


def test_each_planted_refusal_is_where_the_truth_says(run: tuple[Path, Truth]) -> None:
    directory, truth = run
    told = {(item.path, item.line, item.reason) for item in truth.planted if item.reason}
    found = {
        (file.path, record.line, why)
        for file in truth.files
        if file.state == "ingested"
        for record in read(directory / file.path)
        if (why := reason(str(file.format), record))
    }
    assert found == told


def test_two_identical_records_count_twice_though_an_export_holds_one_of_them_again() -> None:
    path = SAMPLE / "2024-11-29" / "access_logs_2024-11-29.ndjson"
    twins = {line for line, times in Counter(path.read_text().splitlines()).items() if times == 2}
    again = path.with_name("access_logs_2024-11-29_export.ndjson").read_text().splitlines()
    assert len(twins) == 1
    assert sum(1 for line in again if line in twins) == 1
