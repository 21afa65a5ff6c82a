"""What the runbook tells people to do, done on the stacks that deploy, in the situations that it is about."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, Literal

import pytest

from atlas import lake
from atlas.metrics import ALARMS
from atlas_cli.cloud import Cloud
from atlas_cli.main import main
from tests import runbook
from tests.e2e.days import published, requests

DAY = "2025-03-07"
CLIENT = "runbook"
GOOD, TORN = "fire/good.ndjson", "fire/torn.ndjson.gz"

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(autouse=True)
def _on_the_local_cloud(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the commands go to."""
    monkeypatch.setattr("atlas_cli.main.connect", lambda _: cloud)


def _said(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What a command that succeeds says with --json."""
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_link_of_each_alarm_leads_to_its_section(cloud: Cloud) -> None:
    found = cloud.cloudwatch.describe_alarms(AlarmNamePrefix="atlas-")["MetricAlarms"]
    told = {alarm["AlarmName"]: alarm["AlarmDescription"].rpartition("Runbook: ")[2] for alarm in found}
    assert told == {cloud.names.alarm(alarm): f"docs/runbook.md#{alarm}" for alarm in ALARMS}
    assert set(ALARMS) <= runbook.sections().keys()


def test_status_says_what_is_wrong_and_the_runbooks_commands_mend_it(
    cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "good.ndjson"
    file.write_text(requests(DAY, 0, 10) + "{\n")
    torn = tmp_path / "torn.ndjson.gz"
    torn.write_bytes(gzip.compress(requests(DAY, 100, 20_000).encode())[:-2000])
    put = ["put", str(file), str(torn), "--prefix", "fire"]
    assert [(row["verdict"], row["why"][:14]) for row in _said(put, capsys)] == [
        ("ingested", ""),
        ("rejected", "truncated_gzip"),
    ]
    _said(["run", "--date", DAY], capsys)
    _damage(cloud)
    assert main(["run", "--date", DAY]) == 1
    _ring(cloud, "ALARM")
    dead_letters = cloud.queue_url(cloud.names.ingest_dead_letter_queue)
    cloud.sqs.send_message(QueueUrl=dead_letters, MessageBody='{"Event": "s3:TestEvent"}')

    told = _said(["status"], capsys)

    [alarm] = [row for row in told if row.get("alarm") == "runs-failed"]
    assert (alarm["why"], alarm["runbook"]) == ("one is more than none", "docs/runbook.md#runs-failed")
    [failed] = [row for row in told if row.get("error")]
    assert (failed["day"], failed["error"]) == (DAY, "DamagedObjectError")
    assert f"`atlas replay {lake.RAW}{GOOD}`" in failed["cause"]
    [fresh] = [row for row in told if "yesterday" in row]
    assert fresh["last_published"] >= DAY
    assert not fresh["published"] or fresh["last_published"] >= fresh["yesterday"]
    assert {"queue": cloud.names.ingest_dead_letter_queue, "messages": 1, "oldest_minutes": None} in told
    last_run = next(row for row in told if "execution" in row)
    assert last_run["why"] == "Atlas.DayFailed: 0 of 1 days published"

    _ring(cloud, "OK")
    _said(["client", "add", CLIENT], capsys)
    _do_as_the_runbook_says(file)
    _said(["run", "--date", DAY], capsys)  # the salvaging came last

    told = _said(["status"], capsys)
    assert [row for row in told if row.get("error") or row.get("messages")] == []
    assert published(cloud, DAY) > 1000  # those before the cut too


def _ring(cloud: Cloud, state: Literal["ALARM", "OK"]) -> None:
    """As CloudWatch does when executions fail, of which the emulator counts none."""
    cloud.cloudwatch.set_alarm_state(
        AlarmName=cloud.names.alarm("runs-failed"), StateValue=state, StateReason="one is more than none"
    )


def _damage(cloud: Cloud) -> None:
    partition = f"{lake.VALIDATED}ndjson/{lake.day_partition(lake.parse_day(DAY))}/good."
    [entry] = cloud.s3.list_objects_v2(Bucket=cloud.bucket, Prefix=partition)["Contents"]
    body = cloud.s3.get_object(Bucket=cloud.bucket, Key=entry["Key"])["Body"].read()
    cloud.s3.put_object(Bucket=cloud.bucket, Key=entry["Key"], Body=body[:-20])


def _do_as_the_runbook_says(file: Path) -> None:
    """Each of its commands, in its order, but for those on Spark, which take long and are run elsewhere."""
    for words in runbook.commands("atlas"):
        key = TORN if "--salvage" in words else GOOD
        meant = {"DAY": DAY, "KEY": key, "FILE": str(file), "NAME": CLIENT, "prod": "local"}
        if "glue" not in words:
            given = [meant.get(word, word) for word in words]
            assert main(given) == 0, f"atlas {' '.join(given)}"
