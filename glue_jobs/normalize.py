"""Job 1: the day's validated records become silver, or refused records. One pass over the input."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from atlas import books, lake, mapping
from atlas.formats import load_formats
from atlas.ledger import PARTITIONS, day_state_key
from atlas.manifest import Manifest, read_manifest, records_in
from atlas.objects import delete_keys, list_keys
from atlas.schema import LOGS, REJECTED_RECORDS
from atlas.settings import JobSettings
from glue_jobs import lake_tables
from glue_jobs.clients import Clients


def normalize(spark: SparkSession, settings: JobSettings, clients: Clients) -> dict[str, Any]:
    """Replaces the day's partitions of `logs` and `rejected_records`; answers with the run's summary."""
    manifest = read_manifest(clients.ledger, settings.process_date, settings.run_id)
    clients.s3.put_object(Bucket=settings.bucket, Key=manifest.key, Body=manifest.to_json().encode())
    lake_tables.manifest_views(spark, settings.bucket, manifest)
    checked = _checked(spark, settings, manifest).persist()
    try:
        counts = _counts(checked)
        books.check_files(_unbalanced(manifest, counts))
        types = _write_silver(checked, settings, clients, counts)
        refused = _write_refused(spark, checked, settings, clients, counts)
    finally:
        checked.unpersist()
    _note_partitions(settings, clients, [*types, *([REJECTED_RECORDS.name] if refused else [])])
    return _summary(settings, counts)


def _checked(spark: SparkSession, settings: JobSettings, manifest: Manifest) -> DataFrame:
    """Every record of the manifest, mapped, with the reason of its refusal if it has one."""
    formats = load_formats()
    frames = []
    for name, keys in manifest.objects_by_format().items():
        if name not in formats:
            raise LookupError(f"the ledger has files of format {name!r}, but atlas/formats has no {name}.toml")
        view = f"input_{name}"
        lake_tables.envelopes(spark, formats[name], settings.bucket, keys).createOrReplaceTempView(view)
        frames.append(spark.sql(mapping.normalize_sql(formats[name], view, settings.process_date)))
    if not frames:
        return spark.createDataFrame([], LOGS.ddl() + ", " + mapping.CHECK_DDL)
    return reduce(DataFrame.unionByName, frames)


_Counts = dict[tuple[str, str, str | None], int]


def _counts(checked: DataFrame) -> _Counts:
    """Records by file, format and reason (None: passed). It grows with the files, not with the records."""
    rows = checked.groupBy("source_file", "raw_format", "reason").count().collect()
    return {(row["source_file"], row["raw_format"], row["reason"]): row["count"] for row in rows}


def _unbalanced(manifest: Manifest, counts: _Counts) -> list[dict[str, Any]]:
    """What sql/unbalanced_files.sql says, before anything is written."""
    normalized: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    for (file, _, reason), records in counts.items():
        (rejected if reason else normalized)[file] += records
    return [
        {
            "source_file": file.raw_key,
            "records_in": records_in(file),
            "normalized": normalized[file.raw_key],
            "rejected": rejected[file.raw_key],
        }
        for file in manifest.files
        if records_in(file) != normalized[file.raw_key] + rejected[file.raw_key]
    ]


def _write_silver(checked: DataFrame, settings: JobSettings, clients: Clients, counts: _Counts) -> list[str]:
    """Replaces the day in every log type, also in those that have vanished from it; the types it now has."""
    day, bucket = settings.process_date, settings.bucket
    types = sorted({load_formats()[name].log_type for _, name, reason in counts if reason is None})
    passed = checked.where(F.col("reason").isNull())
    for log_type in types:
        rows = passed.where(F.col("log_type") == log_type)
        lake_tables.replace(rows, LOGS, bucket, lake.silver_day_prefix(log_type, day))
    for log_type, prefix in lake_tables.silver_prefixes(clients.s3, bucket, day).items():
        if log_type not in types:
            delete_keys(clients.s3, bucket, list_keys(clients.s3, bucket, prefix))
    return types


def _write_refused(
    spark: SparkSession, checked: DataFrame, settings: JobSettings, clients: Clients, counts: _Counts
) -> bool:
    """Replaces the day in `rejected_records`; whether there are any."""
    prefix = lake.rejected_records_prefix(settings.process_date)
    if not any(reason for _, _, reason in counts):
        delete_keys(clients.s3, settings.bucket, list_keys(clients.s3, settings.bucket, prefix))
        return False
    refused = checked.where(F.col("reason").isNotNull())
    without_text = refused.where(F.col("raw").isNull()).select("object_key").distinct()
    keys = sorted(row["object_key"] for row in without_text.collect())
    if keys:  # the mapping saw fields, not text: the few objects that hold such records are read once more for it
        texts = lake_tables.record_texts(spark, settings.bucket, keys)
        refused = refused.join(texts, ["object_key", "source_line"], "left").withColumn(
            "raw", F.coalesce("raw", "text")
        )
    lake_tables.replace(refused, REJECTED_RECORDS, settings.bucket, prefix)
    return True


def _note_partitions(settings: JobSettings, clients: Clients, partitions: list[str]) -> None:
    """Tells the state machine which catalog partitions the day has, so that it crawls when there is a new one."""
    value = {"ExpressionAttributeValues": {":partitions": ",".join(sorted(partitions))}} if partitions else {}
    clients.ledger.update_item(
        Key=day_state_key(settings.process_date),
        UpdateExpression="SET #partitions = :partitions" if partitions else "REMOVE #partitions",
        ExpressionAttributeNames={"#partitions": PARTITIONS},
        **value,
    )


def _summary(settings: JobSettings, counts: _Counts) -> dict[str, Any]:
    formats: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"records_in": 0, "normalized": 0, "rejected": 0, "rejected_by_reason": {}}
    )
    for (_, name, reason), records in sorted(counts.items(), key=str):
        told = formats[name]
        told["records_in"] += records
        told["rejected" if reason else "normalized"] += records
        if reason:
            told["rejected_by_reason"][reason] = told["rejected_by_reason"].get(reason, 0) + records
    return {
        "process_date": settings.process_date.isoformat(),
        "run_id": settings.run_id,
        "records_in": sum(told["records_in"] for told in formats.values()),
        "normalized": sum(told["normalized"] for told in formats.values()),
        "rejected": sum(told["rejected"] for told in formats.values()),
        "formats": dict(formats),
    }
