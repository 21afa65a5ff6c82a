"""How Spark reads and writes the lake: what differs from DuckDB, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's docs do

from atlas import envelope, lake, mapping
from atlas.formats import LogFormat
from atlas.manifest import Manifest
from atlas.objects import list_folders, list_keys
from atlas.schema import Table

_OBJECT_KEY = f"substring(_metadata.file_path, instr(_metadata.file_path, '{lake.VALIDATED}')) AS object_key"
"""Validated keys hold no character that a URL escapes, so the file's path ends in the key."""


_READING: dict[str, bool | float | int | str | None] = {
    "lineSep": "\n",
    "maxNestingDepth": 2_000,
    "maxNumLen": 20_000_000,
}
"""An envelope is one line up to its LF, whatever ingestion took: Jackson's own limits (1,000 levels, 1,000 digits)
are narrower, and make nulls of the whole line."""

_MANIFEST_DDL = (
    "run_id STRING, files ARRAY<STRUCT<raw_key: STRING, format: STRING, landed_at: TIMESTAMP, "
    "records_in: BIGINT, objects: ARRAY<STRING>>>"
)


def url(bucket: str, key: str) -> str:
    """The address under which Spark knows an object or prefix."""
    return f"s3://{bucket}/{key}"


def manifest_views(spark: SparkSession, bucket: str, manifest: Manifest) -> None:
    """Registers the views `manifest`, `manifest_objects` and `run`, read from the manifest's document.

    Read by the JVM: rows that are given from Python go through a Python worker, which takes longer to start
    than a small day takes to process.
    """
    document = spark.read.schema(_MANIFEST_DDL).json(url(bucket, manifest.key), multiLine=True).cache()
    files = document.select(F.explode("files").alias("file")).select("file.*")
    files.selectExpr(
        "raw_key AS source_file", "format AS raw_format", "records_in AS records"
    ).createOrReplaceTempView("manifest")
    objects = files.select(F.explode("objects").alias("object_key"), "raw_key", "landed_at").selectExpr(
        "object_key", "raw_key AS source_file", "landed_at AS ingested_at"
    )
    F.broadcast(objects).createOrReplaceTempView("manifest_objects")
    day_of_week = F.lit(f"{manifest.process_date:%A}").alias("day_of_week")
    document.select("run_id", day_of_week).createOrReplaceTempView("run")


def envelopes(spark: SparkSession, log_format: LogFormat, bucket: str, keys: Iterable[str]) -> DataFrame:
    """Validated objects of one format, as the input that `mapping.normalize_sql` describes."""
    columns = mapping.fields(log_format)
    keys_read = dict.fromkeys(key for path in columns for key in (path, path.partition(".")[0]))
    record = ", ".join(f"`{key}`: STRING" for key in keys_read)
    schema = f"{envelope.HEADER_DDL}, record STRUCT<{record}>"
    read = spark.read.schema(schema).options(**_READING).json([url(bucket, key) for key in keys])
    picked = [f"{_picked(path)} AS {name}" for path, name in columns.items()]
    return read.selectExpr(_OBJECT_KEY, "event_time", "line", "record_id", "error", "raw", *picked)


def _picked(path: str) -> str:
    """The key of that very name, else the nested one: an object comes as JSON text, which gives its part.

    Other text is not even tried, because that costs an exception of the JSON parser for each.
    """
    top, dot, rest = path.partition(".")
    literal, outer = f"record.`{path}`", f"record.`{top}`"
    nested = f"CASE WHEN {outer} LIKE '{{%' THEN get_json_object({outer}, '$.{rest}') END"
    return f"coalesce({literal}, {nested})" if dot else literal


def record_texts(spark: SparkSession, bucket: str, keys: Iterable[str]) -> DataFrame:
    """The producer's own text of each record of some validated objects: object_key, source_line, text."""
    read = spark.read.text([url(bucket, key) for key in keys], lineSep="\n").selectExpr(_OBJECT_KEY, "value")
    return read.select(
        "object_key",
        F.regexp_extract("value", envelope.RECORD_TEXT, 1).cast("bigint").alias("source_line"),
        F.regexp_extract("value", envelope.RECORD_TEXT, 2).alias("text"),
    ).where(F.col("source_line").isNotNull())


def contract(frame: DataFrame, table: Table) -> DataFrame:
    """The frame with exactly the table's columns, in its order and of its types."""
    return frame.select(*(F.col(column.name).cast(column.type).alias(column.name) for column in table.columns))


def read_day(spark: SparkSession, s3: Any, bucket: str, table: Table, prefixes: Iterable[str]) -> DataFrame:
    """The rows of some partitions of `logs` or `rejected_records`, partition columns included."""
    there = [prefix for prefix in prefixes if next(iter(list_keys(s3, bucket, prefix)), None)]
    ddl = table.ddl(partitions=True)
    if not there:
        return spark.createDataFrame([], ddl)
    read = spark.read.schema(ddl).option("basePath", url(bucket, table.location))
    return read.parquet(*(url(bucket, prefix) for prefix in there))


def silver_prefixes(s3: Any, bucket: str, day: date) -> dict[str, str]:
    """Log type -> the prefix of its partition of a day, for every log type that silver has on any day."""
    folders = list_folders(s3, bucket, lake.LOGS)
    types = sorted(folder.rstrip("/").rpartition("log_type=")[2] for folder in folders)
    return {log_type: lake.silver_day_prefix(log_type, day) for log_type in types}


def replace(frame: DataFrame, table: Table, bucket: str, prefix: str) -> None:
    """Puts the frame's rows in the place of whatever is under a partition's prefix.

    Written partition by partition, because not every committer for S3 can overwrite partitions dynamically.
    """
    contract(frame, table).write.mode("overwrite").parquet(url(bucket, prefix))
