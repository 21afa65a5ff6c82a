"""Job 1: the day's validated records become silver, or refused records."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from pyspark.sql import SparkSession

from atlas import day
from atlas.clients import Clients
from atlas.settings import JobSettings
from glue_jobs.spark_engine import SparkEngine


def normalize(spark: SparkSession, settings: JobSettings, clients: Clients) -> dict[str, Any]:
    """`atlas.day.normalize` by the ledger as it is now; answers with the run's summary."""
    manifest = day.begin(settings, clients)
    with closing(SparkEngine(spark, clients.s3, settings)) as engine:
        engine.open(manifest)
        return day.normalize(engine, manifest, settings, clients)
