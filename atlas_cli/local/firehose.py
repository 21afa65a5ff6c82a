"""Firehose: what a call brings is one object a partition, written with the stream's role; and faults, on demand.

ministack 1.5.33 writes an object a record, with nobody's rights. AWS gathers records for a minute or longer; here
they are in the lake when the call has been answered.

Tests make calls fail: while the file `firehose-faults.json` lies in the emulator's folder, of what it names every
n-th fails, e.g. `{"record": 7, "before": 5, "after": 3}`: single records; whole calls, which take nothing; whole
calls that take everything, and whose answer is lost.
"""

from __future__ import annotations

import base64
import functools
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, new_uuid
from ministack.services import firehose

from atlas_cli.local import service_roles

FAULTS = "firehose-faults.json"
_SERVICE = "firehose.amazonaws.com"
_MOST_RECORDS, _MOST_BYTES, _MOST_BYTES_OF_ONE = 500, 4 * 1024 * 1024, 1000 * 1024
"""https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html"""
_BUSY = ("ServiceUnavailableException", "Slow down.")

Failed = tuple[bytes, Any]
"""A record, and why it failed."""
Converted = tuple[bytes, str, list[Failed]]


@dataclass
class Faults:
    """Which of the calls and records fail, by the file that a test has put there."""

    file: Path
    _counts: dict[str, Iterator[int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def strike(self, kind: str) -> bool:
        """Whether this one fails: every n-th of its kind since the file lies there."""
        try:
            wanted: dict[str, int] = json.loads(self.file.read_text())
        except FileNotFoundError:
            wanted = {}
        with self._lock:
            if kind not in wanted:
                self._counts.pop(kind, None)
                return False
            return next(self._counts.setdefault(kind, itertools.count(1))) % wanted[kind] == 0


def install(folder: Path, endpoint: str) -> None:
    """Replace ministack's PutRecordBatch."""
    faults = Faults(folder / FAULTS)
    # The same query for each record.
    firehose._jq_parse = functools.cache(firehose._jq_parse)

    def put_record_batch(data: dict[str, Any]) -> Any:
        name = data.get("DeliveryStreamName", "")
        stream = firehose._streams.get(name)
        if not stream:
            return firehose._not_found(name)
        records = [base64.b64decode(record["Data"]) for record in data.get("Records", [])]
        refusal = _beyond_the_limits(records)
        if refusal:
            return firehose._invalid(refusal)
        if faults.strike("before"):
            return error_response_json(*_BUSY, 503)
        answers: list[dict[str, Any]] = []
        taken = []
        for record in records:
            if faults.strike("record"):
                answers.append({"ErrorCode": _BUSY[0], "ErrorMessage": _BUSY[1]})
            else:
                answers.append({"RecordId": firehose._record_id()})
                taken.append(record)
        for destination in stream["destinations"]:
            _deliver(stream, destination["config"], taken, endpoint)
        if faults.strike("after"):
            return error_response_json(*_BUSY, 503)
        failed = len(records) - len(taken)
        return json_response({"FailedPutCount": failed, "Encrypted": False, "RequestResponses": answers})

    firehose._HANDLERS["PutRecordBatch"] = put_record_batch


def _beyond_the_limits(records: list[bytes]) -> str | None:
    if not 0 < len(records) <= _MOST_RECORDS:
        return f"A call has 1 to {_MOST_RECORDS} records."
    if max(map(len, records)) > _MOST_BYTES_OF_ONE:
        return "A record has at most 1,000 KiB."
    return "A call has at most 4 MiB." if sum(map(len, records)) > _MOST_BYTES else None


def _deliver(stream: dict[str, Any], config: dict[str, Any], records: list[bytes], endpoint: str) -> None:
    """Writes the records: an object a prefix, and one for each kind of failure."""
    now = firehose._arrival_time(config)
    partitions: dict[str, list[bytes]] = {}
    failures: list[Failed] = []
    for record in records:
        try:
            keys = firehose._metadata_extraction_keys(config, record)
            prefix = firehose._evaluate_prefix(config.get("Prefix", ""), now, keys)
        except firehose._DeliveryError as failure:
            failures.append((record, failure))
        else:
            partitions.setdefault(prefix, []).append(record)
    objects: dict[str, bytes] = {}
    convert = _converter(config, endpoint)
    for prefix, group in partitions.items():
        body, extension, unfit = convert(group)
        failures += unfit
        if body:
            objects[f"{prefix}{_name(stream, now)}{extension}"] = body
    for kind, unwritten in _by_kind(failures).items():
        prefix = firehose._evaluate_prefix(config.get("ErrorOutputPrefix", ""), now, error_type=kind)
        lines = [json.dumps(_document(config, *failure)) + "\n" for failure in unwritten]
        objects[f"{prefix}{_name(stream, now)}"] = "".join(lines).encode()
    try:
        s3 = service_roles.client(endpoint, config["RoleARN"], _SERVICE, "s3")
        for key, body in objects.items():
            s3.put_object(Bucket=firehose._s3_bucket_from_arn(config["BucketARN"]), Key=key, Body=body)
    except (ClientError, BotoCoreError, PermissionError) as fault:  # AWS tries on for a day, and then drops it
        firehose.logger.warning("%s cannot deliver: %s", stream["name"], fault)


def _converter(config: dict[str, Any], endpoint: str) -> Callable[[list[bytes]], Converted]:
    """What makes an object of a partition's records: its bytes, the end of its name, what it could not convert."""
    conversion = config.get("DataFormatConversionConfiguration") or {}
    if not conversion or not conversion.get("Enabled", True):
        return lambda records: (b"".join(records), "", [])
    table = conversion["SchemaConfiguration"]
    try:
        glue = service_roles.client(endpoint, table["RoleARN"], _SERVICE, "glue")
        glue.get_table(DatabaseName=table["DatabaseName"], Name=table["TableName"])
    except (ClientError, BotoCoreError, PermissionError) as fault:
        denied = firehose._DeliveryError(
            "format-conversion-failed", str(fault), "DataFormatConversion.AccessDenied"
        )
        return lambda records: (b"", "", [(record, denied) for record in records])
    return lambda records: _parquet(conversion, records)


def _parquet(conversion: dict[str, Any], records: list[bytes]) -> Converted:
    try:
        return firehose._convert_to_parquet(conversion, b"".join(records)), ".parquet", []
    except firehose._DeliveryError:  # one of them at least: which?
        unfit = []
    fit = []
    for record in records:
        try:
            firehose._convert_to_parquet(conversion, record)
            fit.append(record)
        except firehose._DeliveryError as failure:
            unfit.append((record, failure))
    return firehose._convert_to_parquet(conversion, b"".join(fit)) if fit else b"", ".parquet", unfit


def _by_kind(failures: list[Failed]) -> dict[str, list[Failed]]:
    kinds: dict[str, list[Failed]] = {}
    for record, failure in failures:
        kinds.setdefault(failure.output_type, []).append((record, failure))
    return kinds


def _document(config: dict[str, Any], record: bytes, failure: Any) -> dict[str, Any]:
    """What AWS writes of a record that failed.

    https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion-error-handling.html
    """
    now = int(time.time() * 1000)
    told = {
        "attemptsMade": 1,
        "arrivalTimestamp": now,
        "ErrorCode": failure.code or "DynamicPartitioning.MetadataExtractionFailed",
        "ErrorMessage": failure.message,
        "attemptEndingTimestamp": now,
        "rawData": base64.b64encode(record).decode(),
    }
    table = (config.get("DataFormatConversionConfiguration") or {}).get("SchemaConfiguration")
    if failure.output_type == "format-conversion-failed" and table:
        told["dataCatalogTable"] = {
            "catalogId": table.get("CatalogId") or get_account_id(),
            "databaseName": table.get("DatabaseName"),
            "tableName": table.get("TableName"),
            "region": table.get("Region") or get_region(),
            "versionId": table.get("VersionId", "LATEST"),
        }
    return told


def _name(stream: dict[str, Any], now: time.struct_time) -> str:
    return f"{stream['name']}-{stream['version']}-{time.strftime('%Y-%m-%d-%H-%M-%S', now)}-{new_uuid()}"
