"""The Lambda as SQS calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from atlas.metrics import METRICS, SERVICE
from atlas.orders import OrderKind
from atlas.settings import IngestSettings
from lambda_ingest import handler as handler_module
from lambda_ingest.events import LandedObject, UnknownEventError, messages
from tests.lake_under_test import LakeUnderTest

SECRET = "s3cr3t-content"
LINE = {"timestamp": "2024-11-29T10:00:00Z", "ip": "192.0.2.1", "status": 200, "endpoint": SECRET}


@dataclass
class Context:
    function_name: str = "atlas-ingest-local"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:atlas-ingest-local"
    aws_request_id: str = "request"


def eventbridge(lake: LakeUnderTest, key: str, body: bytes) -> str:
    landed = lake.landed(key, body)
    described = {"key": key, "size": 1, "etag": "e", "version-id": landed.version, "sequencer": landed.sequencer}
    return json.dumps(
        {"detail-type": "Object Created", "detail": {"bucket": {"name": lake.bucket}, "object": described}}
    )


def batch(*bodies: str) -> dict[str, Any]:
    return {
        "Records": [{"messageId": f"m{n}", "body": body, "eventSource": "aws:sqs"} for n, body in enumerate(bodies)]
    }


@pytest.fixture
def _deployed(lake: LakeUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in IngestSettings(lake.bucket, lake.ledger.name).to_env().items():
        monkeypatch.setenv(name, value)
    handler_module._ingestion.cache_clear()
    handler_module._settings.cache_clear()


@pytest.mark.usefixtures("_deployed")
def test_a_message_that_fails_is_returned_alone_and_the_others_are_done(
    lake: LakeUnderTest, capsys: pytest.CaptureFixture[str]
) -> None:
    good = eventbridge(lake, "raw/with blank+plus ü.ndjson", json.dumps(LINE).encode())
    also = eventbridge(lake, "raw/b.ndjson", b"")
    answer = handler_module.handler(batch(good, '{"detail": {}}', also), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert [item["pk"] for item in lake.ledger_items() if item["sk"] == "META"] == [
        "FILE#raw/b.ndjson",
        "FILE#raw/with blank+plus ü.ndjson",
    ]
    printed = capsys.readouterr().out
    assert SECRET not in printed
    put = _put(printed)
    assert put["Files"] == [1.0, 1.0]
    assert put["Records"] == [1.0, 0.0]
    assert put["FilesFailed"] == [1.0]
    [directive] = put["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("Atlas/test", [[SERVICE]])
    declared = {(metric.name, metric.unit) for metric in METRICS if metric.dimensions == {SERVICE: put[SERVICE]}}
    assert {(metric["Name"], metric["Unit"]) for metric in directive["Metrics"]} == declared
    assert len(declared) == 7


def _put(printed: str) -> dict[str, Any]:
    """The metrics that the function's last call left in its log."""
    document: dict[str, Any] = json.loads([line for line in printed.splitlines() if "_aws" in line][-1])
    return document


@pytest.mark.usefixtures("_deployed")
def test_an_aws_error_is_never_a_refusal(lake: LakeUnderTest) -> None:
    body = eventbridge(lake, "raw/a.ndjson", json.dumps(LINE).encode())
    table = lake.ledger.name
    lake.ledger.delete()
    answer = handler_module.handler(batch(body), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}, table
    assert lake.keys() == ["raw/a.ndjson"]


@pytest.mark.usefixtures("_deployed")
def test_an_order_is_obeyed_like_a_file_is_taken_and_a_malformed_one_is_returned(
    lake: LakeUnderTest, capsys: pytest.CaptureFixture[str]
) -> None:
    handler_module.handler(batch(eventbridge(lake, "raw/a.ndjson", json.dumps(LINE).encode())), Context())
    order = lake.order(OrderKind.WITHDRAW, "raw/a.ndjson")
    assert messages(order.to_message()) == [order]
    answer = handler_module.handler(batch('{"order": {"kind": "erase"}}', order.to_message()), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    [state] = [item["state"] for item in lake.ledger_items() if item["sk"] == "META"]
    assert state == "withdrawn"
    handler_module.handler(batch(lake.order(OrderKind.REPLAY, "raw/a.ndjson").to_message()), Context())
    assert "Files" not in _put(capsys.readouterr().out)  # nothing has come in


def test_keys_are_decoded_where_s3_encodes_them_and_only_there() -> None:
    described = {"key": "raw/a+b%20c%C3%BC.log", "size": 1, "eTag": "e", "versionId": "v", "sequencer": "1"}
    s3 = json.dumps({"Records": [{"s3": {"bucket": {"name": "b"}, "object": described}}]})
    assert _keys(s3) == ["raw/a b cü.log"]
    described |= {"etag": "e", "version-id": "v"}
    bridge = json.dumps({"detail": {"bucket": {"name": "b"}, "object": described}})
    assert _keys(bridge) == ["raw/a+b%20c%C3%BC.log"]


def _keys(body: str) -> list[str]:
    return [landed.key for landed in messages(body) if isinstance(landed, LandedObject)]


def test_s3s_test_event_announces_nothing_and_anything_else_is_an_error() -> None:
    assert messages('{"Service": "Amazon S3", "Event": "s3:TestEvent"}') == []
    for body in ("", "[]", "{}", '{"detail": {"bucket": {}}}', "null"):
        with pytest.raises(UnknownEventError):
            messages(body)


@pytest.mark.usefixtures("_deployed")
def test_what_a_killed_process_left_on_scratch_is_removed_and_a_running_ones_is_not(
    lake: LakeUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = [tmp_path / f"atlas-ingest-{process}" / "file" for process in (gone.pid, os.getpid(), os.getppid())]
    for file in left:
        file.parent.mkdir()
        file.touch()
    answer = handler_module.handler(batch(eventbridge(lake, "raw/a.ndjson", json.dumps(LINE).encode())), Context())
    assert answer == {"batchItemFailures": []}
    assert [file.exists() for file in left] == [False, False, True]
    assert list((tmp_path / f"atlas-ingest-{os.getpid()}").iterdir()) == []
