"""Job 2: the day's silver without duplicates becomes gold, if the books balance."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from pyspark.sql import SparkSession

from atlas import day, day_events, lake
from atlas.clients import Clients
from atlas.manifest import Manifest
from atlas.settings import JobSettings
from glue_jobs.spark_engine import SparkEngine


def aggregate(spark: SparkSession, settings: JobSettings, clients: Clients) -> dict[str, Any]:
    """`atlas.day.aggregate` by the manifest that job 1 kept; answers with the day's books."""
    key = lake.manifest_key(settings.process_date, settings.run_id)
    manifest = Manifest.from_json(clients.s3.get_object(Bucket=settings.bucket, Key=key)["Body"].read().decode())
    with closing(SparkEngine(spark, clients.s3, settings)) as engine:
        engine.open(manifest)
        day.open_events(engine, day_events.find(manifest, settings, clients, refusals=False), manifest)
        quality = day.aggregate(engine, manifest, settings, clients)
    return {"process_date": settings.process_date.isoformat(), "run_id": settings.run_id, "books": quality}
