"""The day's engine on Spark: reads and writes the lake where it is, for days of any size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's docs do

from atlas import envelope, lake, mapping, sql
from atlas.day import silver_prefixes
from atlas.day_events import DayEvents
from atlas.formats import LogFormat
from atlas.manifest import Manifest
from atlas.objects import list_keys
from atlas.schema import LOGS, REJECTED_RECORDS, Table
from atlas.settings import JobSettings

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
    "run_id STRING, receipts STRUCT<lost_before: TIMESTAMP>, "
    "files ARRAY<STRUCT<raw_key: STRING, format: STRING, landed_at: TIMESTAMP, "
    "records_in: BIGINT, objects: ARRAY<STRING>>>"
)


class SparkEngine:
    """`atlas.day.Engine`. Views live in the session; nothing comes to the driver that grows with the records."""

    def __init__(self, spark: SparkSession, s3: Any, settings: JobSettings) -> None:
        self._spark = spark
        self._s3 = s3
        self._settings = settings

    def open(self, manifest: Manifest) -> None:
        """Reads the manifest's document.

        By the JVM: rows that are given from Python go through a Python worker, which takes longer to start than a
        small day takes to process.
        """
        document = self._spark.read.schema(_MANIFEST_DDL).json(self._url(manifest.key), multiLine=True).cache()
        files = document.select(F.explode("files").alias("file")).select("file.*")
        files.selectExpr(
            "raw_key AS source_file", "format AS raw_format", "records_in AS records"
        ).createOrReplaceTempView("manifest")
        objects = files.select(F.explode("objects").alias("object_key"), "raw_key", "landed_at").selectExpr(
            "object_key", "raw_key AS source_file", "landed_at AS ingested_at"
        )
        F.broadcast(objects).createOrReplaceTempView("manifest_objects")
        day_of_week = F.lit(f"{manifest.process_date:%A}").alias("day_of_week")
        lost_before = F.col("receipts.lost_before").alias("lost_before")
        document.select("run_id", day_of_week, lost_before).createOrReplaceTempView("run")

    def open_events(self, events: DayEvents) -> None:
        """Reads them where they are."""
        keys: dict[str, Sequence[str]] = {
            "event_receipts": [events.receipts] if events.receipts else [],
            "event_refusals": events.refusals,
            "event_rows": events.objects,
        }
        for name, ddl in sql.EVENT_INPUTS.items():
            urls = [self._url(key) for key in keys[name]]
            read = self._spark.read.schema(ddl)
            if not urls:
                frame = self._never(ddl)
            else:
                frame = read.parquet(*urls) if name == "event_rows" else read.json(urls, lineSep="\n")
            frame.createOrReplaceTempView(name)

    def check(self, manifest: Manifest, formats: Mapping[str, LogFormat]) -> None:
        """Every record is mapped once, and kept for the writes that follow."""
        frames = []
        for name, keys in manifest.objects_by_format().items():
            view = f"input_{name}"
            self.envelopes(formats[name], keys).createOrReplaceTempView(view)
            statement = mapping.normalize_sql(formats[name], view, manifest.process_date)
            frames.append(self._spark.sql(statement))
        nothing = LOGS.ddl() + ", " + mapping.CHECK_DDL
        logs = reduce(DataFrame.unionByName, frames) if frames else self._nothing(nothing)
        if manifest.receipts:
            events = self._spark.sql(sql.statement("refused_event_records"))
            logs = logs.unionByName(events, allowMissingColumns=True)
        checked = logs.persist()
        checked.createOrReplaceTempView("checked")
        checked.where(F.col("reason").isNotNull()).createOrReplaceTempView("refused")

    def replace_silver(self, log_type: str, prefix: str) -> None:
        """Written partition by partition, because not every committer can overwrite partitions dynamically."""
        passed = self._spark.table("checked").where(F.col("reason").isNull() & (F.col("log_type") == log_type))
        self._replace(passed, LOGS, prefix)

    def replace_refused(self, prefix: str) -> None:
        """The few objects that hold refused records without a text are read once more for it."""
        without_text = self._spark.table("refused").where("raw IS NULL AND object_key IS NOT NULL")
        without_text = without_text.select("object_key").distinct()
        keys = sorted(row["object_key"] for row in without_text.collect())
        self._record_texts(keys).createOrReplaceTempView("record_texts")
        self._replace(self._spark.sql(sql.statement("refused_records")), REJECTED_RECORDS, prefix)

    def read_day(self) -> None:
        """Reads what the first job wrote."""
        silver = silver_prefixes(self._s3, self._settings).values()
        self._read(LOGS, silver).createOrReplaceTempView("logs")
        refused = self._read(REJECTED_RECORDS, [lake.rejected_records_prefix(self._settings.process_date)])
        refused.createOrReplaceTempView(REJECTED_RECORDS.name)

    def view(self, name: str, statement: str, *, keep: bool) -> None:
        """Kept rows stay in the executors' memory."""
        frame = self._spark.sql(statement)
        (frame.persist() if keep else frame).createOrReplaceTempView(name)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """To the driver."""
        return [row.asDict() for row in self._spark.sql(statement).collect()]

    def stage(self, table: Table, statement: str, prefix: str) -> None:
        """One task writes one object."""
        frame = self._contract(self._spark.sql(statement), table)
        frame.coalesce(1).write.mode("overwrite").parquet(self._url(prefix))

    def staged_rows(self, table: Table, prefix: str) -> list[dict[str, Any]]:
        """From the lake."""
        return [row.asDict() for row in self._spark.read.schema(table.ddl()).parquet(self._url(prefix)).collect()]

    def close(self) -> None:
        """Lets go of what was kept."""
        self._spark.catalog.clearCache()

    def envelopes(self, log_format: LogFormat, keys: Iterable[str]) -> DataFrame:
        """Validated objects of one format, as the input that `mapping.normalize_sql` describes."""
        columns = mapping.fields(log_format)
        record = ", ".join(f"`{key}`: STRING" for key in log_format.source_keys())
        schema = f"{envelope.HEADER_DDL}, record STRUCT<{record}>"
        read = self._spark.read.schema(schema).options(**_READING).json([self._url(key) for key in keys])
        picked = [f"{_picked(path)} AS {name}" for path, name in columns.items()]
        return read.selectExpr(_OBJECT_KEY, "event_time", "line", "record_id", "error", "raw", *picked)

    def _url(self, key: str) -> str:
        return f"s3://{self._settings.bucket}/{key}"

    def _record_texts(self, keys: list[str]) -> DataFrame:
        if not keys:
            return self._nothing("object_key STRING, source_line BIGINT, text STRING")
        read = self._spark.read.text([self._url(key) for key in keys], lineSep="\n")
        return (
            read.selectExpr(_OBJECT_KEY, "value")
            .select(
                "object_key",
                F.regexp_extract("value", envelope.RECORD_TEXT, 1).cast("bigint").alias("source_line"),
                F.regexp_extract("value", envelope.RECORD_TEXT, 2).alias("text"),
            )
            .where(F.col("source_line").isNotNull())
        )

    def _read(self, table: Table, prefixes: Iterable[str]) -> DataFrame:
        """Some partitions of a table, partition columns included."""
        there = [p for p in prefixes if next(iter(list_keys(self._s3, self._settings.bucket, p)), None)]
        ddl = table.ddl(partitions=True)
        if not there:
            return self._nothing(ddl)
        read = self._spark.read.schema(ddl).option("basePath", self._url(table.location))
        return read.parquet(*(self._url(prefix) for prefix in there))

    def _replace(self, frame: DataFrame, table: Table, prefix: str) -> None:
        self._contract(frame, table).write.mode("overwrite").parquet(self._url(prefix))

    def _contract(self, frame: DataFrame, table: Table) -> DataFrame:
        """The frame with exactly the table's columns, in its order and of its types.

        All of them may be null, as in DuckDB's files, also where Spark knows that they are not: hence the union.
        """
        columns = [F.col(column.name).cast(column.type).alias(column.name) for column in table.columns]
        return frame.select(*columns).union(self._nothing(table.ddl()))

    def _never(self, ddl: str) -> DataFrame:
        """The same in a form that Spark takes out of whatever it is part of, before it runs."""
        columns = (column.split(" ", 1) for column in ddl.split(", "))
        nulls = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in columns)
        return self._spark.sql(f"SELECT {nulls} WHERE 1 = 0")

    def _nothing(self, ddl: str) -> DataFrame:
        """No rows of these columns, which come from the JVM: Python's would go through a Python worker."""
        columns = (column.split(" ", 1) for column in ddl.split(", "))
        return self._spark.range(0, 0, 1, 1).selectExpr(
            *(f"CAST(NULL AS {kind}) AS {name}" for name, kind in columns)
        )


def _picked(path: str) -> str:
    """The key of that very name, else the nested one: an object comes as JSON text, which gives its part.

    Other text is not even tried, because that costs an exception of the JSON parser for each.
    """
    top, dot, rest = path.partition(".")
    literal, outer = f"record.`{path}`", f"record.`{top}`"
    nested = f"CASE WHEN {outer} LIKE '{{%' THEN get_json_object({outer}, '$.{rest}') END"
    return f"coalesce({literal}, {nested})" if dot else literal
