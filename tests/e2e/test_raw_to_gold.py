"""From files in raw/ to answers of Athena, on the stacks that deploy. The tests build on each other, in order."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from atlas import lake as keys
from atlas import schema
from atlas.ledger import FileState
from atlas.metrics import DAYS_PUBLISHED, GLUE_DPU_SECONDS, GLUE_JOBS_FAILED, HOURS_WITHOUT_YESTERDAY
from atlas.names import Names
from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say
from atlas_cli.local.emulator import Emulator
from atlas_cli.project import ROOT, SAMPLE
from atlas_cli.put import put
from atlas_cli.query import ask
from atlas_cli.replay import replay
from atlas_cli.run import run
from atlas_cli.status import dirty_days
from atlas_cli.withdraw import withdraw
from tests.e2e import permissions
from tests.e2e.conftest import Sample
from tests.e2e.days import counted, files, requests, validated

TRUTH = json.loads((SAMPLE / "expected.json").read_text())
DAYS = sorted(TRUTH["days"])
FRIDAY, SATURDAY = DAYS
EXPIRED = "2025-03-07"
NAMES = Names("local")
FILES = {keys.RAW + file["path"]: SAMPLE / file["path"] for file in TRUTH["files"]}

pytestmark = pytest.mark.timeout(400)


def books(cloud: Cloud, day: str) -> dict[str, dict[str, int]]:
    """The books of a day by format, through Athena."""
    columns = ("files", "records_in", "published", "duplicates", "rejected")
    found = ask(cloud, "books", {"from": day, "to": day})
    assert {row["books"] for row in found} == {"balanced"}
    return {row["raw_format"]: {name: row[name] for name in columns} for row in found}


def truth(day: str) -> dict[str, dict[str, int]]:
    formats = TRUTH["days"][day]["formats"]
    return {name: {**books, "rejected": sum(books["rejected"].values())} for name, books in formats.items()}


def test_sample_files_become_gold_that_says_what_their_generator_says(cloud: Cloud, sample: Sample) -> None:
    # Of two files of the same bytes, whichever is delivered first is the file and the other its duplicate.
    assert sorted(sample.states.values()) == sorted(FileState(file["state"]) for file in TRUTH["files"])
    assert [entry["Key"] for entry in _objects(cloud, keys.RAW)] == []
    assert [(day["process_date"], day["outcome"], day["engine"]) for day in sample.outcomes] == [
        (day, "published", "lambda") for day in DAYS
    ]
    assert dirty_days(cloud) == []
    for row in ask(cloud, "daily_activity", {"from": FRIDAY, "to": SATURDAY}):
        expected = TRUTH["days"][row["date"]]["daily_activity"]
        assert {name: row[name] for name in ("total_requests", "total_errors", "unique_ips")} == {
            name: expected[name] for name in ("total_requests", "total_errors", "unique_ips")
        }
    assert {day: books(cloud, day) for day in DAYS} == {day: truth(day) for day in DAYS}


def test_athena_reads_the_same_whichever_engine_wrote_a_day(
    cloud: Cloud, running: Emulator, say: Say, tmp_path: Path
) -> None:
    """One day of each table is DuckDB's now, the other Spark's: of all tables every value."""
    by_duckdb, had = _all_that_athena_reads(cloud), validated(cloud, SATURDAY)
    put(cloud, files(tmp_path, SATURDAY, 1), say)
    withdraw(cloud, list(files(tmp_path, SATURDAY, 1)), say)
    assert len(validated(cloud, SATURDAY)) == len(had) + 1
    metrics = (DAYS_PUBLISHED, GLUE_JOBS_FAILED, GLUE_DPU_SECONDS)
    before = counted(cloud, *metrics)
    [outcome] = run(cloud, {"process_date": SATURDAY, "engine": "glue"}, say)
    assert (outcome["outcome"], outcome["engine"]) == ("published", "glue")
    days, failed, seconds = (now - then for now, then in zip(counted(cloud, *metrics), before, strict=True))
    assert (days, failed, seconds > 0) == (1, 0, True)
    assert _all_that_athena_reads(cloud) == by_duckdb
    assert validated(cloud, SATURDAY) == had  # what was withdrawn went with the run
    _the_real_scripts_ran(running)


def _all_that_athena_reads(cloud: Cloud) -> dict[str, list[str]]:
    read = {}
    for table in schema.CRAWLED_TABLES:
        columns = ", ".join(
            column.name for column in (*table.columns, *table.partition_keys) if column.name != "run_id"
        )
        rows = [repr(sorted(row.items())) for row in ask(cloud, f"SELECT {columns} FROM {table.name}", {})]
        assert rows, table.name
        read[table.name] = sorted(rows)
    return read


def _the_real_scripts_ran(running: Emulator) -> None:
    """The emulator by itself reports Spark jobs as succeeded without running anything."""
    for job, script in ((NAMES.normalize_job, "normalize_job"), (NAMES.aggregate_job, "aggregate_job")):
        receipts = [json.loads(path.read_text()) for path in (running.glue_logs / job).glob("*.json")]
        digest = hashlib.sha256((ROOT / "glue_jobs" / f"{script}.py").read_bytes()).hexdigest()
        assert [(r["script_sha256"], r["exit_status"]) for r in receipts] == [(digest, 0)]


def test_the_catalog_knows_every_partition_and_only_those(cloud: Cloud) -> None:
    glue = cloud.session.client("glue")
    partitions = glue.get_partitions(DatabaseName="log_analytics_db", TableName="logs")["Partitions"]
    assert {tuple(partition["Values"]) for partition in partitions if "2024" in partition["Values"]} == {
        (log_type, *keys.day_values(keys.parse_day(day)))
        for day in DAYS
        for log_type in ("access", "api", "app", "error")
    }
    activities = ask(cloud, "daily_activity", {"from": FRIDAY, "to": SATURDAY})
    published = sum(activity["total_requests"] for activity in activities)
    [silver] = ask(cloud, "SELECT count(*) AS records FROM logs WHERE year = '2024' AND month = '11'", {})
    duplicates = sum(row["duplicates"] for day in DAYS for row in books(cloud, day).values())
    assert silver["records"] == published + duplicates


def test_a_corrected_file_replaces_its_records_and_the_sweep_processes_only_its_day(
    cloud: Cloud, say: Say, tmp_path: Path
) -> None:
    before = {day: books(cloud, day) for day in DAYS}
    key = keys.RAW + f"{FRIDAY}/errors_{FRIDAY}.xml"
    corrected = tmp_path / "corrected.xml"
    error = (
        f"<error><errorTime>{FRIDAY}T10:00:00Z</errorTime><clientIp>192.0.2.7</clientIp><service>till</service>"
        "<errorCode>503</errorCode><message>no paper</message></error>"
    )
    corrected.write_text(f"<errors>{error}{error}</errors>")
    copy = keys.RAW + "copies/access_again.ndjson"
    put(cloud, {key: corrected, copy: FILES[keys.RAW + f"{FRIDAY}/access_logs_{FRIDAY}.ndjson"]}, say)
    assert [day["day"] for day in dirty_days(cloud)] == [FRIDAY]

    outcomes = run(cloud, {"sweep": True}, say)

    assert [day["process_date"] for day in outcomes] == [FRIDAY]
    after = books(cloud, FRIDAY)
    export = next(file for file in TRUTH["files"] if file["path"].endswith(f"errors_{FRIDAY}_export.xml"))
    refused_in_export = after["xml_errors"]["rejected"]
    assert after["xml_errors"] == {
        "files": 2,
        "records_in": 2 + export["records"][FRIDAY],
        "published": 2 + export["records"][FRIDAY] - refused_in_export,
        "duplicates": 0,
        "rejected": refused_in_export,
    }
    assert {name: after[name] for name in after if name != "xml_errors"} == {
        name: before[FRIDAY][name] for name in before[FRIDAY] if name != "xml_errors"
    }
    assert books(cloud, SATURDAY) == before[SATURDAY]
    assert dirty_days(cloud) == []


def test_a_sweep_without_dirty_days_starts_nothing_and_owes_nobody_a_day(cloud: Cloud, say: Say) -> None:
    assert run(cloud, {"sweep": True}, say) == []
    namespace = cloud.names.metrics_namespace
    told = cloud.cloudwatch.list_metrics(Namespace=namespace, MetricName=HOURS_WITHOUT_YESTERDAY.name)["Metrics"]
    assert (len(told), counted(cloud, HOURS_WITHOUT_YESTERDAY)) == (1, [0])


@pytest.mark.parametrize(
    "request_",
    [{"process_date": "2024-11-31"}, {"process_date": 20241129}, {"from": SATURDAY, "to": FRIDAY}, {"day": FRIDAY}],
)
def test_a_request_that_is_none_is_refused_with_what_was_expected(cloud: Cloud, say: Say, request_: Any) -> None:
    with pytest.raises(CommandError, match=r"Atlas\.InvalidInput"):
        run(cloud, request_, say)


@pytest.mark.parametrize(
    ("engine", "role", "told"), [("lambda", NAMES.day_role, "403"), ("glue", NAMES.glue_role, "AccessDenied")]
)
def test_an_engine_whose_role_lacks_a_prefix_fails_and_leaves_gold_alone_until_the_sweep_repairs_the_day(
    cloud: Cloud, say: Say, engine: str, role: str, told: str
) -> None:
    iam = cloud.session.client("iam")
    policy: Any = iam.get_role_policy(RoleName=role, PolicyName=role)["PolicyDocument"]
    crippled = json.loads(json.dumps(policy))
    for statement in crippled["Statement"]:
        if statement["Sid"] == "ReadValidated":
            statement["Resource"] = statement["Resource"].replace(keys.VALIDATED, "nothing/")
    assert crippled != policy
    before = books(cloud, SATURDAY)
    iam.put_role_policy(RoleName=role, PolicyName=role, PolicyDocument=json.dumps(crippled))
    try:
        with pytest.raises(CommandError, match=r"Atlas\.DayFailed"):
            run(cloud, {"process_date": SATURDAY, "engine": engine}, say)
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=role, PolicyDocument=json.dumps(policy))
    failed = max(_objects(cloud, keys.REJECTED_RUNS), key=lambda entry: entry["LastModified"])
    document = json.loads(cloud.s3.get_object(Bucket=cloud.bucket, Key=failed["Key"])["Body"].read())
    assert told in document["message"]
    assert books(cloud, SATURDAY) == before
    assert [day["day"] for day in dirty_days(cloud)] == [SATURDAY]
    assert [day["outcome"] for day in run(cloud, {"sweep": True}, say)] == ["published"]
    assert books(cloud, SATURDAY) == before


def test_each_permission_of_a_role_has_been_used_by_now_or_only_aws_asks_for_it(
    cloud: Cloud, running: Emulator, say: Say, tmp_path: Path
) -> None:
    """After what the tests before have not done: a refused file that is taken after all, a day that has expired.

    The tests before are those of test_events.py too.
    """
    torn = keys.RAW + "torn.ndjson.gz"
    (tmp_path / "torn").write_bytes(gzip.compress(requests(EXPIRED, 0, 20_000).encode())[:-20_000])
    [refused] = put(cloud, {torn: tmp_path / "torn"}, say)
    [salvaged] = replay(cloud, [torn], say, salvage=True)
    assert (refused.state, salvaged.after.state) == (FileState.REJECTED, FileState.INGESTED)
    for key in validated(cloud, EXPIRED):
        cloud.s3.delete_object(Bucket=cloud.bucket, Key=key)
    assert [day["outcome"] for day in run(cloud, {"process_date": EXPIRED}, say)] == ["published"]

    assert permissions.idle(cloud, running) == {
        statement: actions for statement, (actions, _) in permissions.ONLY_ON_AWS.items()
    }


def test_no_log_of_the_stage_holds_what_a_record_says(cloud: Cloud, running: Emulator) -> None:
    """Of both functions, the state machine and the jobs on Spark, after all that went well or wrong before."""
    logs = cloud.session.client("logs")
    texts = [path.read_text() for path in running.glue_logs.glob("*/*.log")]
    for group in cloud.names.log_groups:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
            texts += [event["message"] for event in page["events"]]
    text = "\n".join(texts)
    heard = [*FILES, '"message":"day"', '"job": "normalize"', "AccessDenied"]
    assert [part for part in heard if part not in text] == []
    said = ask(cloud, "SELECT DISTINCT message, request_id FROM logs WHERE year = '2024'", {})
    words = {word for row in said for word in row.values() if word and len(word) > 12}
    assert len(words) > 100
    assert {word for word in words if word in text} == set()


def _objects(cloud: Cloud, prefix: str) -> list[Any]:
    return list(cloud.s3.list_objects_v2(Bucket=cloud.bucket, Prefix=prefix).get("Contents", []))
