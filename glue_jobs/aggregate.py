"""Job 2: the day's silver without duplicates becomes gold, if the books balance."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

from atlas import books, lake, publish, sql
from atlas.manifest import Manifest
from atlas.schema import DATA_QUALITY, GOLD_TABLES, LOGS, REJECTED_RECORDS
from atlas.settings import JobSettings
from glue_jobs import lake_tables
from glue_jobs.clients import Clients


def aggregate(spark: SparkSession, settings: JobSettings, clients: Clients) -> dict[str, Any]:
    """Publishes the day's gold and answers with its books; raises BooksError and publishes nothing."""
    key = lake.manifest_key(settings.process_date, settings.run_id)
    text = clients.s3.get_object(Bucket=settings.bucket, Key=key)["Body"].read().decode()
    lake_tables.manifest_views(spark, settings.bucket, Manifest.from_json(text))
    _day_views(spark, settings, clients)
    books.check_files([row.asDict() for row in spark.sql(sql.statement("unbalanced_files")).collect()])
    try:
        quality = _stage(spark, settings)
        books.check_formats(quality)
        publish.publish(clients.s3, settings.bucket, settings.run_id, settings.process_date)
    finally:
        publish.clear_staging(clients.s3, settings.bucket, settings.run_id)
        spark.catalog.clearCache()
    return {"process_date": settings.process_date.isoformat(), "run_id": settings.run_id, "books": quality}


def _day_views(spark: SparkSession, settings: JobSettings, clients: Clients) -> None:
    day, bucket, s3 = settings.process_date, settings.bucket, clients.s3
    silver = lake_tables.silver_prefixes(s3, bucket, day).values()
    lake_tables.read_day(spark, s3, bucket, LOGS, silver).createOrReplaceTempView("logs")
    refused = lake_tables.read_day(spark, s3, bucket, REJECTED_RECORDS, [lake.rejected_records_prefix(day)])
    refused.createOrReplaceTempView(REJECTED_RECORDS.name)
    # Small, and the dearest thing to find: found once, used by every table.
    spark.sql(sql.statement("kept_files")).persist().createOrReplaceTempView("kept_files")
    spark.sql(sql.statement("distinct_records")).createOrReplaceTempView("distinct_records")


def _stage(spark: SparkSession, settings: JobSettings) -> list[dict[str, Any]]:
    """Writes every gold table under the run's staging prefix; the rows of data_quality."""
    for table in GOLD_TABLES:
        frame = lake_tables.contract(spark.sql(sql.statement(f"gold/{table.name}")), table)
        staged = lake_tables.url(settings.bucket, lake.staging_prefix(settings.run_id, table.name))
        frame.coalesce(1).write.mode("overwrite").parquet(staged)
    staged = lake_tables.url(settings.bucket, lake.staging_prefix(settings.run_id, DATA_QUALITY.name))
    return [row.asDict() for row in spark.read.schema(DATA_QUALITY.ddl()).parquet(staged).collect()]
