"""The Spark session of both jobs: every setting that their results depend on, in one place."""

from __future__ import annotations

from pyspark.sql import SparkSession

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # Keys of JSON records are told apart by case, as their producers do.
    "spark.sql.caseSensitive": "true",
    # Athena and DuckDB read this type; Spark's default (INT96) is deprecated.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Times before 1582 are what they say, in the calendar that every other reader assumes.
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}


def spark_session(name: str) -> SparkSession:
    """The session of this process, made on first use."""
    builder = SparkSession.builder.appName(name)
    for setting, value in SETTINGS.items():
        builder = builder.config(setting, value)
    return builder.getOrCreate()
