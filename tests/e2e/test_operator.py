"""What an operator does when files go wrong, on the stacks that deploy and with the roles that they have."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from atlas import lake
from atlas.ledger import FileState
from atlas.names import Names
from atlas.reasons import FileReason
from atlas_cli import dead_letters
from atlas_cli.cloud import Cloud
from atlas_cli.console import Say
from atlas_cli.entries import find
from atlas_cli.put import put
from atlas_cli.replay import replay
from atlas_cli.run import run
from atlas_cli.status import dirty_days
from atlas_cli.withdraw import withdraw
from tests.e2e.days import files, published, requests, validated, wait

NAMES = Names("local")
UNDELIVERED, ORDERED = "2025-03-04", "2025-03-05"

pytestmark = pytest.mark.timeout(400)


@contextmanager
def giving_up_soon(cloud: Cloud) -> Iterator[None]:
    """The ingestion queue with a patience of two seconds instead of hours; afterwards as the stack left it.

    AWS may take a minute to follow.
    """
    queue = cloud.queue_url(NAMES.ingest_queue)
    names: Any = ["VisibilityTimeout", "RedrivePolicy"]
    deployed: Any = cloud.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    policy = {**json.loads(deployed["RedrivePolicy"]), "maxReceiveCount": 2}
    hasty: Any = {"VisibilityTimeout": "1", "RedrivePolicy": json.dumps(policy)}
    cloud.sqs.set_queue_attributes(QueueUrl=queue, Attributes=hasty)
    try:
        yield
    finally:
        cloud.sqs.set_queue_attributes(QueueUrl=queue, Attributes=deployed)


@contextmanager
def without_an_archive(cloud: Cloud) -> Iterator[None]:
    """The ingestion's role, without its right to write to the archive."""
    iam: Any = cloud.session.client("iam")
    role = {"RoleName": NAMES.ingest_role, "PolicyName": NAMES.ingest_role}
    deployed = json.dumps(iam.get_role_policy(**role)["PolicyDocument"])
    assert f"/{lake.ARCHIVE}*" in deployed
    iam.put_role_policy(**role, PolicyDocument=deployed.replace(f"/{lake.ARCHIVE}*", "/nothing/*"))
    try:
        yield
    finally:
        iam.put_role_policy(**role, PolicyDocument=deployed)


def test_what_cannot_be_delivered_waits_is_shown_and_is_ingested_when_it_is_sent_back(
    cloud: Cloud, say: Say, tmp_path: Path
) -> None:
    [(key, path)] = files(tmp_path, UNDELIVERED, 0).items()
    with giving_up_soon(cloud):
        with without_an_archive(cloud):
            cloud.s3.upload_file(str(path), cloud.bucket, key)
            cloud.sqs.send_message(QueueUrl=cloud.queue_url(NAMES.ingest_queue), MessageBody="good morning")
            _await_dead_letters(cloud, 2)
        assert find(cloud, key) is None
        for _ in range(2):  # a look takes nothing away
            shown = {row["what"]: row["message"] for row in dead_letters.show(cloud)}
            assert shown == {"file": key, "unknown": "good morning"}

        assert {row["message"] for row in dead_letters.redrive(cloud, say)} == {key, "good morning"}

        entry = wait(lambda: find(cloud, key), bool)
        assert (entry.state, [*map(str, entry.shares)]) == (FileState.INGESTED, [UNDELIVERED])
        _await_dead_letters(cloud, 1)  # what nobody can read comes back
    assert [row["what"] for row in dead_letters.show(cloud)] == ["unknown"]
    cloud.sqs.purge_queue(QueueUrl=cloud.queue_url(NAMES.ingest_dead_letter_queue))
    assert cloud.depth(NAMES.ingest_queue) == 0
    run(cloud, {"process_date": UNDELIVERED}, say)
    assert published(cloud, UNDELIVERED) == 10


def _await_dead_letters(cloud: Cloud, count: int) -> None:
    wait(lambda: cloud.depth(NAMES.ingest_dead_letter_queue), lambda depth: depth == count)


def test_an_operator_withdraws_replays_and_salvages_files_and_the_books_follow(
    cloud: Cloud, say: Say, tmp_path: Path
) -> None:
    [(first, path)] = files(tmp_path, ORDERED, 0).items()
    second, torn = f"{lake.RAW}fire/{ORDERED}-copy.ndjson", f"{lake.RAW}fire/{ORDERED}-torn.ndjson.gz"
    half = gzip.compress(requests(ORDERED, 100, 20_000).encode())
    (tmp_path / "torn").write_bytes(half[: len(half) // 2])
    put(cloud, {first: path}, say)
    put(cloud, {second: path, torn: tmp_path / "torn"}, say)
    assert _states(cloud, first, second, torn) == ["ingested", "duplicate", "rejected"]
    assert _refused(cloud) >= {torn}

    [withdrawn] = withdraw(cloud, [first], say)
    assert (withdrawn.counts_now, withdrawn.days) == (second, [lake.parse_day(ORDERED)])
    [again] = replay(cloud, [torn], say)
    assert (again.after.state, again.after.reason) == (FileState.REJECTED, FileReason.TRUNCATED_GZIP)
    [salvaged] = replay(cloud, [torn], say, salvage=True)
    assert _states(cloud, first, second, torn) == ["withdrawn", "ingested", "ingested"]
    assert salvaged.after.salvaged_by == cloud.caller
    assert torn not in _refused(cloud)
    [share] = salvaged.after.shares.values()
    assert 0 < share.records < 20_000
    [outcome] = run(cloud, {"sweep": True}, say)
    assert (outcome["process_date"], outcome["outcome"]) == (ORDERED, "published")
    assert published(cloud, ORDERED) == 10 + share.records

    withdraw(cloud, [second, torn], say)
    run(cloud, {"sweep": True}, say)
    assert published(cloud, ORDERED) == 0
    assert dirty_days(cloud) == []
    assert validated(cloud, ORDERED) == []


def _states(cloud: Cloud, *keys: str) -> list[str]:
    return [entry.state.value for entry in (find(cloud, key) for key in keys) if entry]


def _refused(cloud: Cloud) -> set[str]:
    """The raw keys of the files in the rejected zone that have their reason beside them."""
    listed = cloud.s3.list_objects_v2(Bucket=cloud.bucket, Prefix=lake.REJECTED_FILES).get("Contents", [])
    there = {entry["Key"] for entry in listed}
    raw = {key.removeprefix(lake.REJECTED_FILES) for key in there}
    return {key for key in raw if {lake.rejected_file_key(key), lake.reason_key(key)} <= there}
