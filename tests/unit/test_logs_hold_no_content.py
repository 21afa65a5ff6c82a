"""No record's content leaves the data zones: not into logs, nor notices, nor the reasons of failed runs."""

from __future__ import annotations

import gzip
import io
import json
import logging
import traceback
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from atlas import faults
from atlas import lake as keys
from atlas.reasons import FileReason
from atlas.settings import IngestSettings
from lambda_day import handler as day_handler
from lambda_day.damage import DamagedObjectError
from lambda_events import forwarder
from lambda_events.forwarder_batch import Forwarder
from lambda_events.forwarder_delivery import Delivery
from lambda_ingest import handler as ingest_handler
from lambda_ingest.refusal import FileRefusedError
from tests.engines.delivered_events import Delivery as Delivered
from tests.events_under_test import Context, event, record
from tests.lake_under_test import FRIDAY, LakeUnderTest
from tests.unit import test_day_function, test_ingest_handler

CANARY = "kanarienvogel"
GOOD = {
    "timestamp": "2024-11-29T10:00:00Z", "ip": CANARY, "status": 200, "endpoint": f"/{CANARY}", "level": CANARY,
    "request_type": CANARY, "app_name": CANARY, "user_agent": CANARY, "message": CANARY, CANARY: {CANARY: [CANARY]},
}  # fmt: skip
LINES = [
    json.dumps(GOOD),
    json.dumps({**GOOD, "timestamp": CANARY}),
    json.dumps({**GOOD, "status": CANARY}),
    json.dumps({"timestamp": GOOD["timestamp"], CANARY: CANARY}),
    json.dumps(GOOD)[:-9],
    f"{CANARY} is no record",
    f'{{"{CANARY}": 1, "{CANARY}": {CANARY}}}',
]
NDJSON = "\n".join(LINES).encode()
ERROR = f"<errorTime>2024-11-29T10:00:00Z</errorTime><service>{CANARY}</service><errorCode>{CANARY}</errorCode>"


def _zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(CANARY, CANARY)
    return packed.getvalue()


FILES = {
    "lines.ndjson": NDJSON,
    "bytes.ndjson": NDJSON + b"\n\xff" + CANARY.encode(),
    "wide.ndjson": NDJSON.decode().encode("utf-16"),
    "packed.json.gz": gzip.compress(NDJSON),
    "torn.json.gz": gzip.compress(NDJSON)[:-9],
    "damaged.json.gz": gzip.compress(NDJSON)[:-8] + b"kanarien",
    "array.json": f"[{LINES[0]}, {CANARY}]".encode(),
    "text.json": f'"{CANARY}"'.encode(),
    "errors.xml": f"<errors><error>{ERROR}</error><error {CANARY}='{CANARY}'/></errors>".encode(),
    "open.xml": f"<errors><error>{ERROR}<{CANARY}></error></errors>".encode(),
    "entity.xml": f"<!DOCTYPE e [<!ENTITY {CANARY} '{CANARY}'>]><errors><error>{ERROR}</error></errors>".encode(),
    "encoding.xml": f"<?xml version='1.0' encoding='{CANARY}'?><errors><error>{ERROR}</error></errors>".encode(),
    "app.log": f"2024-11-29T10:00:00Z [INFO] user={CANARY} action={CANARY} {CANARY}\n{CANARY}\n".encode(),
    "prose.txt": f"{CANARY} said what it said\n".encode() * 9,
    "many.zip": _zip(),
}
"""Every kind of file and of trouble, by the name it is dropped under."""


class Heard:
    """All that was logged, printed, raised, announced or written down as a reason."""

    def __init__(self, lake: LakeUnderTest, capture: pytest.CaptureFixture[str]) -> None:
        self._lake, self._capture = lake, capture
        self.log = io.StringIO()
        self.raised = ""

    def all(self) -> str:
        printed = self._capture.readouterr()
        reasons = [self._lake.objects()[key].decode() for key in self._lake.keys(keys.REJECTED_RUNS)]
        notices = map(json.dumps, self._lake.notices())
        return "\n".join([self.log.getvalue(), printed.out, printed.err, self.raised, *notices, *reasons])

    @contextmanager
    def lambdas_error(self) -> Iterator[None]:
        """What Lambda and Glue log of an error that comes out of our code, and Step Functions hands on."""
        try:
            yield
        except Exception:  # noqa: BLE001 - whatever comes out
            self.raised += traceback.format_exc()


@pytest.fixture
def heard(
    lake: LakeUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Iterator[Heard]:
    """The functions as they are deployed, with all ears open."""
    environment = {**IngestSettings(lake.bucket, lake.ledger.name).to_env(), **lake.day_settings.to_env()}
    for name, value in {**environment, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for module, cached in ((ingest_handler, "_ingestion"), (day_handler, "_clients")):
        getattr(module, cached).cache_clear()
        module._settings.cache_clear()
    made = Heard(lake, capfd)
    formatters = {
        "ingest": ingest_handler.logger.registered_formatter, "day": day_handler.logger.registered_formatter,
        "events": forwarder.logger.registered_formatter, "": None,
    }  # fmt: skip
    ears = {name: logging.StreamHandler(made.log) for name in formatters}
    for name, ear in ears.items():
        ear.setFormatter(formatters[name])
        logging.getLogger(name).addHandler(ear)
    yield made
    for name, ear in ears.items():
        logging.getLogger(name).removeHandler(ear)


def _drop(lake: LakeUnderTest, name: str, body: bytes) -> None:
    message = test_ingest_handler.eventbridge(lake, keys.RAW + name, body)
    ingest_handler.handler(test_ingest_handler.batch(message), test_ingest_handler.Context())


def _run(run_id: str) -> None:
    request = {"process_date": FRIDAY.isoformat(), "run_id": run_id, "as_of": "2024-12-01T12:00:00Z"}
    day_handler.handler(request, test_day_function.Context())


def test_whatever_files_and_records_say_is_in_the_data_zones_only(lake: LakeUnderTest, heard: Heard) -> None:
    for name, body in FILES.items():
        _drop(lake, name, body)
    _run("run-1")
    told = heard.all()
    assert CANARY not in told.lower()
    assert all(f'"key":"{keys.RAW}{name}"' in told for name in FILES)  # it was heard
    assert "Atlas: day 2024-11-29 done" in told
    states = {item["raw_key"]: item["state"] for item in lake.ledger_items() if item["sk"] == "META"}
    assert set(states.values()) == {"ingested", "rejected"}
    holding = {key.split("/")[0] + "/" for key, body in lake.objects().items() if CANARY.encode() in body}
    assert {keys.ARCHIVE, keys.REJECTED} <= holding


SAID = event(user_id=CANARY, action=CANARY, device=CANARY, properties={CANARY: CANARY})
EVENTS = [
    [SAID, SAID | {"timestamp": CANARY}, SAID | {"action": ""}, SAID | {CANARY: CANARY}, CANARY],
    SAID | {"timestamp": "2024-11-29T10:00:00.000000001Z", "user_id": 7},
    f'{{"{CANARY}": ',
    f'"{CANARY}"',
]
"""The bodies of requests with every kind of trouble."""


class _Stream:
    """Stands for the delivery stream: takes everything but the first call."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._first = True

    def put_record_batch(self, Records: Sequence[Any], **_: Any) -> Any:  # noqa: N803 - boto3 names it
        refused, self._first = self._first, False
        if refused:
            said = {"ErrorCode": "InternalFailure", "ErrorMessage": CANARY}
            return {"FailedPutCount": len(Records), "RequestResponses": [said] * len(Records)}
        self.rows += [json.loads(record["Data"]) for record in Records]
        return {"FailedPutCount": 0, "RequestResponses": [{"RecordId": "1"}] * len(Records)}


def _send(lake: LakeUnderTest, monkeypatch: pytest.MonkeyPatch) -> Delivered:
    """Has the forwarder take EVENTS, and what it hands on arrive as Firehose writes it."""
    stream: Any = _Stream()
    delivery = Delivery(stream, "events", sleep=lambda _: None)
    made = Forwarder(delivery, lake.s3, lake.bucket, lake.ledger)
    monkeypatch.setattr(forwarder, "_forwarder", lambda: made)
    records = [record(body, number=number) for number, body in enumerate(EVENTS)]
    assert forwarder.handler({"Records": records}, Context()) == {"batchItemFailures": []}
    arrived = Delivered(lake, FRIDAY)
    times = ("event_timestamp", "received_at")
    arrived.arrives(
        [
            {**row, **{name: datetime.fromisoformat(row[name]) for name in times}, "properties": [(CANARY, CANARY)]}
            for row in stream.rows
        ]
    )
    return arrived


def test_whatever_events_say_is_in_the_data_zones_only(
    lake: LakeUnderTest, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    _send(lake, monkeypatch)
    _run("run-1")
    told = heard.all()
    assert CANARY not in told.lower()
    assert '"PutRecordBatch: InternalFailure":1' in told  # it was heard
    assert "Atlas: day 2024-11-29 done" in told
    holding = {key.split("/")[0] + "/" for key, body in lake.objects().items() if CANARY.encode() in body}
    assert {keys.EVENTS, keys.REJECTED} <= holding


def test_a_day_that_fails_for_an_object_of_events_quotes_nothing_of_it(
    lake: LakeUnderTest, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    _send(lake, monkeypatch)
    [key] = lake.keys(keys.EVENTS)
    lake.s3.put_object(Bucket=lake.bucket, Key=key, Body=lake.objects()[key][:200] + CANARY.encode())
    with heard.lambdas_error():
        _run("run-1")
    assert "FAILED" in heard.all() + heard.raised
    assert CANARY not in (heard.all() + heard.raised).lower()


def _not_that_type(body: bytes) -> bytes:
    return gzip.compress(gzip.decompress(body).replace(b'"line":1,', f'"line":"{CANARY}",'.encode()))


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _no_json(body: bytes) -> bytes:
    return gzip.compress(CANARY.encode() + gzip.decompress(body))


def _fewer(body: bytes) -> bytes:
    return gzip.compress(b"".join(gzip.decompress(body).splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize(
    ("damage", "error"),
    [(_not_that_type, "DamagedObjectError"), (_half, "DamagedObjectError"), (_no_json, "DamagedObjectError"),
     (_fewer, "BooksError")],
)  # fmt: skip
def test_a_day_that_fails_names_the_file_and_quotes_nothing_of_it(
    lake: LakeUnderTest, heard: Heard, damage: Callable[[bytes], bytes], error: str
) -> None:
    _drop(lake, "a.ndjson", NDJSON)
    [key] = lake.keys(keys.VALIDATED)
    lake.s3.put_object(Bucket=lake.bucket, Key=key, Body=damage(lake.objects()[key]))
    with heard.lambdas_error():
        _run("run-1")
    told = heard.all()
    assert f"FAILED: {error}" in told
    assert error in heard.raised
    assert f"{keys.RAW}a.ndjson" in heard.raised
    assert CANARY not in told.lower()


def test_an_error_that_nobody_foresaw_is_told_by_its_class_and_place(
    lake: LakeUnderTest, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    _drop(lake, "a.ndjson", NDJSON)
    monkeypatch.setattr("lambda_ingest.ingest.read_file", _stumble)
    _drop(lake, "b.ndjson", NDJSON)
    monkeypatch.setattr("atlas.mapping.normalize_sql", lambda *_: f"SELECT CAST('{CANARY}' AS INTEGER)")
    with heard.lambdas_error():
        _run("run-1")
    monkeypatch.setattr("atlas.day.normalize", _stumble)
    with heard.lambdas_error():
        _run("run-2")
    told = heard.all()
    assert CANARY not in told.lower()
    assert "KeyError at lambda_ingest.ingest, line " in told
    assert "ConversionException at lambda_day.duckdb_engine, line " in heard.raised
    assert "KeyError at lambda_day.process, line " in heard.raised


def _stumble(*_: Any, **__: Any) -> Any:
    raise KeyError(CANARY)


def test_errors_of_aws_and_of_ours_keep_their_words(lake: LakeUnderTest) -> None:
    with pytest.raises(lake.s3.exceptions.NoSuchKey) as gone:
        lake.s3.get_object(Bucket=lake.bucket, Key="nothing")
    for fault in (gone.value, DamagedObjectError("key", "how"), OSError(28, "No space left on device")):
        assert faults.tellable(fault) is fault
        assert faults.told(fault) == str(fault)
    assert CANARY not in faults.told(FileRefusedError(FileReason.MALFORMED_JSON, CANARY))
