"""`atlas cost`: what it reckons with is what the code does, and what it comes to is what the formulas say."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.metrics import EVENTS, METRICS, QUERIES
from atlas_cli.cost import Bill, Line, bill, figures, load
from atlas_cli.docs import DOCS
from atlas_cli.main import main
from atlas_cli.project import SAMPLE
from lambda_day.limits import Limits
from lambda_day.process import run
from lambda_ingest import handler as handler_module
from stacks.config import StageConfig, read_context
from stacks.prices import PRICES
from tests.lake_under_test import FRIDAY, LakeUnderTest
from tests.unit.test_ingest_handler import Context, _deployed, batch, eventbridge  # noqa: F401 - a fixture

KNOWN = figures()
STAGES = {stage: StageConfig.load(stage, read_context()) for stage in ("dev", "prod")}
DEAR = {
    "PutObject",
    "CopyObject",
    "ListObjectsV2",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
}
CHEAP = {"GetObject", "HeadObject"}
WRITTEN = {"PutObject", "CopyObject"}
NAME = "raw/web/frontend-7c9f/2024/11/29/access_2024-11-29T10-05-00Z_a81f03.ndjson.gz"
"""As long as names of producers are."""


@contextmanager
def counted(lake: LakeUnderTest) -> Iterator[tuple[Counter[str], list[Any]]]:
    """Which calls are made, and the bodies of those to DynamoDB."""
    calls: Counter[str] = Counter()
    bodies: list[Any] = []

    def note(params: Any, model: Any, **_: Any) -> None:
        calls[model.name] += 1
        if model.service_model.service_name == "dynamodb":
            bodies.append(json.loads(params["body"]))

    clients = (lake.s3, lake.ledger.meta.client, lake.sns, lake.sqs, lake.clients.cloudwatch)
    for client in clients:
        client.meta.events.register("before-call", note)
    try:
        yield calls, bodies
    finally:
        for client in clients:
            client.meta.events.unregister("before-call", note)


def _total(calls: Counter[str], kind: set[str]) -> int:
    return sum(count for name, count in calls.items() if name in kind)


def _bytes(value: Any) -> int:
    """The size of an item as DynamoDB counts it, and a little more: of its JSON, which has type marks."""
    return len(json.dumps(value, default=str))


def _units(bodies: list[Any], dirty_days: bool) -> int:
    """Write request units: twice in a transaction, and once more in the index for a day that is dirty."""
    units = 0
    for body in bodies:
        for action in body.get("TransactItems", []):
            item = action.get("Put", {}).get("Item", {})
            units += 2 * math.ceil(max(_bytes(item), 1) / 1024)
            units += "dirty = :dirty" in action.get("Update", {}).get("UpdateExpression", "")
        if "UpdateExpression" in body:
            units += 1 + dirty_days
    return units


def _text(records: int, first: int = 0) -> bytes:
    made = (
        {
            "timestamp": f"2024-11-29T{number % 24:02d}:00:00Z",
            "ip": "192.0.2.1",
            "method": "GET",
            "endpoint": f"/{number}",
            "status": 200,
            "bytes": 512,
            "duration_ms": 12.5,
            "user_agent": "Mozilla/5.0",
        }
        for number in range(first, first + records)
    )
    return gzip.compress("\n".join(map(json.dumps, made)).encode())


def test_a_file_takes_as_many_calls_and_units_as_are_reckoned(lake: LakeUnderTest) -> None:
    landed = lake.landed(NAME, _text(100))
    with counted(lake) as (calls, bodies):
        lake.ingestion.take(landed)
    assert calls.total() == KNOWN["file_calls"]
    assert _total(calls, DEAR) + 1 == KNOWN["file_puts"]  # the producer's own
    assert _total(calls, CHEAP) == KNOWN["file_gets"]
    reads = ("GetItem", "Query")  # consistent ones of small items: a unit each
    assert sum(calls[name] for name in reads) == KNOWN["file_reads"]
    assert _units(bodies, dirty_days=True) == KNOWN["file_writes"]
    # Landed, archived, validated, and gone from raw; later the archive's moves, and the validated one expires, by a
    # delete marker, an old version and the marker's own end.
    assert _total(calls, WRITTEN) + 1 + calls["DeleteObject"] + 4 == KNOWN["file_events"]
    items = [item for item in lake.ledger_items() if item["sk"] != "STATE"]
    size = sum(_bytes(item) + 100 for item in items)  # each has an overhead of 100 bytes
    assert size / 1024 == pytest.approx(KNOWN["file_ledger_kb"], rel=0.15)


def test_a_run_of_a_day_takes_as_many_calls_as_are_reckoned(lake: LakeUnderTest, tmp_path: Path) -> None:
    for number in range(3):
        lake.drop(f"{NAME}.{number}", _text(100, first=100 * number))
    lake.drop("raw/app/events.log", (SAMPLE / "2024-11-29" / "app_events_2024-11-29.log").read_bytes())
    settings = lake.settings(FRIDAY)
    with counted(lake) as (calls, bodies):
        run(settings, lake.clients, Limits.of(3008, 900_000), tmp_path)
    objects = 4
    assert _total(calls, CHEAP) == objects * KNOWN["run_gets"]
    assert _total(calls, DEAR) == KNOWN["run_puts"]
    assert calls.total() - _total(calls, CHEAP) == KNOWN["run_calls"]
    # What is written anew and what is deleted leaves an old version or a marker, which goes later.
    assert 2 * (_total(calls, WRITTEN) + calls["DeleteObject"]) == KNOWN["run_events"]
    machine = 2 * 2  # it locks and releases the day
    assert _units(bodies, dirty_days=True) + machine == KNOWN["run_writes"]
    [manifest] = lake.keys("processed/_manifests/")
    assert len(lake.objects()[manifest]) / 1024 / objects == pytest.approx(KNOWN["manifest_file_kb"], rel=0.2)


@pytest.mark.usefixtures("_deployed")
def test_a_file_leaves_about_as_much_in_the_log_as_is_reckoned(
    lake: LakeUnderTest, capsys: pytest.CaptureFixture[str]
) -> None:
    handler_module.handler(batch(eventbridge(lake, NAME, _text(100))), Context())
    lambdas_own = 1000  # INIT_START, START and REPORT, in JSON
    assert (len(capsys.readouterr().out) + lambdas_own) / 1024 == pytest.approx(KNOWN["file_log_kb"], rel=0.2)


def test_what_is_measured_is_what_performance_md_says() -> None:
    """Rows of its tables, and what follows from them."""
    rows = [line.split("|")[1:-1] for line in (DOCS / "performance.md").read_text().splitlines() if "|" in line]
    cells = [[cell.strip().replace(",", "") for cell in row] for row in rows]
    [ingest] = [row for row in cells if row[0] == "Apache/nginx combined gzip"]
    assert float(ingest[3]) == KNOWN["ingest_mb_per_second"]
    days = {(int(row[0]), row[3]): row for row in cells if len(row) > 4 and row[3] in ("lambda", "glue")}
    millions = {records: records / 1e6 for records, _ in days}
    few, most = min(millions), max(millions)
    assert float(days[most, "lambda"][5]) / millions[most] == pytest.approx(
        KNOWN["day_seconds_per_million"], rel=0.01
    )
    assert float(days[few, "lambda"][4]) == pytest.approx(KNOWN["day_start_seconds"], rel=0.1)
    least, longest = float(days[few, "glue"][6]), float(days[most, "glue"][6])
    assert least == pytest.approx(KNOWN["glue_start_seconds"], rel=0.01)
    assert (longest - least) / millions[most] == pytest.approx(KNOWN["glue_seconds_per_million"], rel=0.01)


def usd(told: Bill) -> dict[str, float]:
    return {f"{line.service}, {line.what}": line.usd for line in (*told.lines, *told.cloudwatch_logs)}


def test_each_line_is_what_its_formula_says() -> None:
    """One example by hand: prod, 10 GB in 200 files, of which each sweep finds some new ones."""
    found = usd(bill(STAGES["prod"], 10, 200))
    month, mb, records = 30.4167, 10 * 2**30 / 1e6, 10 * 2**30 / 238 / 1e6
    sweeps, runs, shares = 48, 49, 24.5 + 1
    dear = 200 * 3 + runs * KNOWN["run_puts"] + 10 * 128 * (0.080 + 0.224 + 0.107 * shares) + 2 * 365 * 12
    objects = 200 + 10 * 1024 * 1.466 / 128
    expected = {
        "S3, archive, Standard": 10 * 0.080 * 90 * 0.023,
        "S3, archive, Glacier Instant Retrieval": 10 * 0.080 * (365 - 90) * 0.004,
        "S3, validated objects": 10 * 0.224 * (90 + 1) * 0.023,
        "S3, silver": 10 * 0.107 * 365 * 0.023,
        "S3, old versions of silver and gold": (10 * 0.107 * 24.5 + 2 * runs * 0.050 / 1024 * 30) * 0.023,
        "S3, PUT, COPY, LIST": month * dear * 0.005 / 1000,
        "S3, moves to Glacier": month * 200 * 0.02 / 1000,
        "EventBridge, the bucket's events": month * (200 * 8 + runs * KNOWN["run_events"]) / 1e6,
        "EventBridge, schedules": month * 49 / 1e6,
        "SQS, requests": month * (2 * 5 * 4320 + 200 * 3) * 0.40 / 1e6,
        "Lambda, ingestion": month * (mb / 76 * 1769 + 200 * 9 * 0.03 * 1769) / 1024 * 0.0000133334,
        "Lambda, days": month
        * (runs * 0.2 + shares * records * 3.7 + runs * KNOWN["run_calls"] * 0.03 + shares * objects * 2 / 8 * 0.03)
        * 3008
        / 1024
        * 0.0000133334,
        "Glue, jobs": 0,
        "Glue, crawlers": month * 2 * 2 * 0.3333 * 0.44,
        "DynamoDB, storage": 200 * 365 * KNOWN["file_ledger_kb"] / 2**20 * 0.25,
        "CloudWatch, alarms": KNOWN["alarm_metrics"] * 0.10,
        "CloudWatch, metrics": sum(metric.service not in (EVENTS, QUERIES) for metric in METRICS) * 0.30,
        "CloudWatch, putting metrics": month * (runs + sweeps) * 0.01 / 1000,
        "KMS, key": 1.00,
        "Secrets Manager, secrets": 0.40,
        "CloudWatch Logs, taken in": month * 10 * (1 + 26 / 238) * 0.50,
        "CloudWatch Logs, stored": 365 * 10 * (1 + 26 / 238) * 0.15 * 0.03,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)


def test_each_line_of_events_is_what_its_formula_says() -> None:
    """One example by hand: a million of 400 bytes in 20,000 requests, which keep every sweep busy."""
    told = bill(STAGES["prod"], 0, 0, events=1_000_000)
    found, month, requests = usd(told), 30.4167, 20_000
    batches, tokens, objects = 86_400 / 5, 5 * 72, 86_400 / 120 * 1.2
    taken_in = month * 1e6 * 5 / 2**20  # GB: each event is counted as 5 KB
    expected = {
        "API Gateway, requests": month * (requests + tokens) * 3.50 / 1e6,
        "SQS, requests": month * (2 * 5 * 4320 + requests + 2 * batches) * 0.40 / 1e6,
        "Firehose, taken in": taken_in * 0.029,
        "Firehose, made Parquet": taken_in * 0.018,
        "Firehose, partitions": month * 4e8 / 2**30 * 0.020,
        "Firehose, objects": month * objects * 0.005 / 1000,
        "Secrets Manager, secrets": (1 + 5) * 0.40,
        "Secrets Manager, calls": month * (2 * 8640 + 3 * tokens) * 0.05 / 10_000,
        "Lambda, events": month * (requests * 0.01 + batches * 0.5 + tokens * 0.03) * 512 / 1024 * 0.0000133334,
        "S3, events": 4e8 / 2**30 * 0.2 * 365 * 0.023,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    assert (told.runs.runs, told.runs.glue_runs) == (49, 0)
    assert told.runs.day_million_records == pytest.approx(24.5 + 1)


def test_each_line_of_questions_is_what_its_formula_says() -> None:
    """One example by hand: ten thousand a day, of which half are asked of Athena."""
    found, idle = usd(bill(STAGES["prod"], 0, 0, questions=10_000)), usd(bill(STAGES["prod"], 0, 0))
    month = 30.4167
    expected = {
        "API Gateway, questions": month * 10_000 * 1.00 / 1e6,
        "Athena, what questions read": month * 5_000 * 10 / 1024 * 5 / 1024,  # 10 MB each at least
        "Lambda, answers": month * 0.0000133334 * (5_000 * (2 + 0.03) * 1024 + 10_000 * 0.01 * 512) / 1024,
        "Lambda, calls": month * 2 * 10_000 * 0.20 / 1e6,
        "S3, PUT, COPY, LIST": month * (10_000 + 5_000 + 2 * 5_000) * 0.005 / 1000,
        "Secrets Manager, calls": month * 2 * 8640 * 0.05 / 10_000,
        "CloudWatch, metrics": 3 * 0.30,
    }
    more = {name: found[name] - idle[name] for name in expected}
    assert more == pytest.approx(expected, rel=1e-6)


def test_a_day_that_outgrows_the_function_is_reckoned_with_glue() -> None:
    auto = replace(STAGES["prod"], orchestration=replace(STAGES["prod"].orchestration, sweep_minutes=720))
    records = 20 * 2**30 / 238 / 1e6
    runs = bill(auto, 20, 100).runs  # half of the day at noon, all of it at midnight, and once more after it
    assert (runs.runs, runs.day_runs, runs.glue_runs) == (3, 1, 2)
    assert runs.glue_dpu_seconds == pytest.approx(2 * 2 * (28 + 22 * records))
    often = bill(STAGES["prod"], 100, 100).runs  # Glue's from an eighth of the day on: then once, and once after it
    assert (often.runs, often.glue_runs) == (often.day_runs + 2, 2)
    assert bill(replace(auto, engine="lambda"), 20, 100).runs.glue_runs == 0
    forced = bill(replace(auto, engine="glue"), 0, 0).runs
    assert (forced.glue_runs, forced.glue_dpu_seconds) == (1, 2 * 60 * 2)  # two jobs of two workers, a minute each


VARIABLE = {
    "EventBridge, the bucket's events", "Lambda, ingestion", "Lambda, days", "Lambda, events", "SNS, notices",
    "API Gateway, requests", "Firehose, taken in", "Firehose, objects", "Secrets Manager, calls",
    "API Gateway, questions", "Athena, what questions read", "Lambda, answers",
}  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
def test_without_logs_a_stage_costs_its_floor(stage: str) -> None:
    idle = usd(bill(STAGES[stage], 0, 0))
    floor = {name: dollars for name, dollars in idle.items() if dollars >= 0.01}
    assert {name.partition(",")[0] for name in floor} <= {
        "S3", "SQS", "Glue", "Step Functions", "CloudWatch", "KMS", "DynamoDB", "Secrets Manager"
    }  # fmt: skip
    assert all(idle[name] < 0.01 for name in VARIABLE)
    assert sum(floor.values()) < 25
    assert (idle["KMS, key"] > 0) == (STAGES[stage].encryption == "customer")
    assert idle["CloudWatch Logs, taken in"] == 0


sizes = st.floats(0, 500, allow_nan=False)
counts = st.integers(1, 100_000)


def _cold(gb: float, files: int) -> bool:
    return gb * 2**30 * KNOWN["archive_per_text"] >= files * 131072


@pytest.mark.parametrize("stage", STAGES)
@given(gb=st.tuples(sizes, sizes), files=st.tuples(counts, counts), events=st.tuples(counts, counts))
def test_more_logs_more_files_and_more_events_never_cost_less(
    stage: str, gb: tuple[float, float], files: tuple[int, int], events: tuple[int, int]
) -> None:
    """But for the archive: files that are too small for Glacier stay where they cost more.

    On the function, that is: a day that becomes Glue's is processed less often, for more.
    """
    config = replace(STAGES[stage], engine="lambda")
    less, more = (bill(config, some(gb), some(files), 100 * some(events)) for some in (min, max))
    assert all(line.usd >= 0 for line in (*less.lines, *less.cloudwatch_logs))
    before, after = _groups(less), _groups(more)
    if _cold(min(gb), min(files)) != _cold(max(gb), max(files)):
        del before["archive"]
    for group, dollars in before.items():
        assert after[group] >= dollars * (1 - 1e-3), group


def _groups(told: Bill) -> dict[str, float]:
    groups: defaultdict[str, float] = defaultdict(float)
    for line in told.lines:
        together = line.what if line.service == "S3" else line.service
        groups["archive" if line.what.startswith(("archive", "moves")) else together] += line.usd
    return groups


def test_every_figure_and_every_quantity_is_reckoned_with() -> None:
    model = load("model")
    used = " ".join(
        [*model["quantities"].values(), *(row[2] for row in (*model["lines"], *model["cloudwatch_logs"]))]
    )
    words = set(re.findall(r"[a-z_]+", used + (Path(__file__).parents[2] / "atlas_cli/cost/runs.py").read_text()))
    assert not (set(model["quantities"]) | set(KNOWN)) - words - {"text_mb_a_file"}
    priced = {row[3] for row in (*model["lines"], *model["cloudwatch_logs"])}
    assert set(PRICES) - priced == {"lambda_arm64", "lambda_x86_64"}


def test_the_command_tells_the_page_s_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--gb-per-day", "10"]) == 0
    shown = capsys.readouterr().out
    told = shown.partition("The same logs")[0]
    table = {row[0]: row[1].strip() for row in (line.split("  ", 1) for line in told.splitlines()) if row[1:]}
    page = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in (DOCS / "cost.md").read_text().splitlines()
    ]
    [head] = [row for row in page if row and row[0] == "US dollars a month"]
    column = next(number for number, cell in enumerate(head) if cell.startswith("10 GB"))
    services = [row for row in page if len(row) == len(head) and row[0] in ("S3", "Lambda", "Glue", "total")]
    assert len(services) == 4
    for row in services:
        assert table[row[0]].split()[0] == row[column]
    readme = (DOCS.parent / "README.md").read_text()
    tables, _, _ = shown.partition("\n\nA day is processed")
    assert "\n".join(line.rstrip() for line in tables.splitlines()) in readme


def test_the_command_tells_every_line_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--gb-per-day", "2.5", "--files-per-day", "70", "--events-per-day", "9000"]
    words += ["--questions-per-day", "800", "--stage", "dev", "--json"]
    assert main(["cost", *words]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = bill(STAGES["dev"], 2.5, 70, 9000, 800)
    lines: list[Line] = [*told.lines, *told.cloudwatch_logs]
    assert [(row["service"], row["what"]) for row in rows] == [(line.service, line.what) for line in lines]
    assert all(row["usd"] == pytest.approx(row["amount"] * row["usd_per_unit"], abs=1e-5) for row in rows)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--stage", "local"], "costs nothing"),
        (["--stage", "nowhere"], "dev, local, prod"),
        (["--files-per-day", "-1"], "no less than 0"),
        (["--events-per-day", "-1"], "no less than 0"),
        (["--questions-per-day", "-1"], "no less than 0"),
    ],
)
def test_the_command_refuses_what_it_cannot_reckon(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", "--gb-per-day", "1", *words]) == 1
    assert said in capsys.readouterr().err
