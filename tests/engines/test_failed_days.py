"""Days that fail: gold stays as it was, and people hear why; on each engine."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from atlas import books
from atlas import lake as keys
from atlas.metrics import BOOKS_UNBALANCED, DAYS_FAILED, DAYS_PUBLISHED, RECORDS_PUBLISHED
from atlas.restore import ValidatedGoneError
from atlas.schema import DATA_QUALITY
from glue_jobs.aggregate import aggregate
from glue_jobs.entry import execute
from glue_jobs.normalize import normalize
from tests.engines.conftest import Process, on_spark
from tests.engines.outputs import parquet, rows_under, totals, types
from tests.engines.remembered import access, body
from tests.lake_under_test import FRIDAY, LakeUnderTest


def test_a_day_whose_books_do_not_balance_stays_as_it_was_and_says_why(
    lake: LakeUnderTest, spark: SparkSession
) -> None:
    """Between the two jobs silver can change; the day function does not let go of it. The attempt is to be seen."""
    lake.drop("raw/a.ndjson", body(access(1), access(2)))
    on_spark(lake, spark, FRIDAY)
    before = _gold_etags(lake)
    lake.drop("raw/b.ndjson", body(access(3), access(4)))
    settings = lake.settings(FRIDAY)
    execute("normalize", normalize, settings, lake.clients, lambda _: spark, announce=True)
    _lose_a_record_of_silver(lake)
    lake.notices()
    with pytest.raises(books.BooksError, match=r"2 records in, but \d in silver and 0 rejected \(-[12]\)"):
        execute("aggregate", aggregate, settings, lake.clients, lambda _: spark, announce=False)
    assert _gold_etags(lake) == before
    [attempt] = rows_under(lake, keys.failed_attempt_key(FRIDAY))
    assert (attempt["outcome"], attempt["run_id"]) == ("failed", settings.run_id)
    assert (attempt["records_in"], attempt["rejected"], attempt["duplicates"]) == (4, 0, 0)
    assert attempt["normalized"] == attempt["published"] < 4
    [notice] = lake.notices()
    assert "FAILED: BooksError" in notice["subject"]
    document = _reason(lake, settings.run_id)
    assert (document["job"], document["error"]) == ("aggregate", "BooksError")
    assert "do not balance" in document["message"]


def _gold_etags(lake: LakeUnderTest) -> dict[str, str]:
    """Of all that lies there, but for a failed attempt."""
    there = set(lake.keys(keys.ANALYTICS)) - {keys.failed_attempt_key(FRIDAY)}
    return {key: lake.s3.head_object(Bucket=lake.bucket, Key=key)["ETag"] for key in there}


def _reason(lake: LakeUnderTest, run_id: str) -> dict[str, Any]:
    key = keys.failed_run_key(FRIDAY, run_id)
    document: dict[str, Any] = json.loads(lake.s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read())
    return document


def _lose_a_record_of_silver(lake: LakeUnderTest) -> None:
    key = max(lake.keys(keys.LOGS))
    table = pq.read_table(io.BytesIO(lake.s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read()))
    out = io.BytesIO()
    pq.write_table(table.slice(1), out)
    lake.s3.put_object(Bucket=lake.bucket, Key=key, Body=out.getvalue())


def test_a_validated_object_that_lost_lines_is_found_before_anything_is_written(
    lake: LakeUnderTest, process: Process
) -> None:
    lake.drop("raw/a.ndjson", body(access(1)))
    process(FRIDAY)
    before, silver = _gold_etags(lake), lake.keys(keys.LOGS)
    lake.drop("raw/b.ndjson", body(access(3), access(4)))
    one, two = lake.keys(keys.VALIDATED)
    whole = lake.s3.get_object(Bucket=lake.bucket, Key=two)["Body"].read()
    copied = lake.s3.get_object(Bucket=lake.bucket, Key=one)["Body"].read()
    lake.s3.put_object(Bucket=lake.bucket, Key=two, Body=copied)
    lake.notices()
    with pytest.raises(books.BooksError, match=r"raw/b\.ndjson: 2 records in, but 1 in silver"):
        process(FRIDAY)
    assert (_gold_etags(lake), lake.keys(keys.LOGS)) == (before, silver)
    counted = lake.counted()
    assert (counted[DAYS_PUBLISHED], counted[RECORDS_PUBLISHED]) == (1, 1)  # of the run before, on the same engine
    assert (counted[DAYS_FAILED], counted[BOOKS_UNBALANCED]) == (1, 1)
    [notice] = lake.notices()
    assert "FAILED: BooksError" in notice["subject"]
    assert _reason(lake, notice["run_id"])["error"] == "BooksError"
    lake.s3.put_object(Bucket=lake.bucket, Key=two, Body=whole)
    _the_attempt_is_in_data_quality_until_the_day_is_published(lake, process, notice["run_id"])


def _the_attempt_is_in_data_quality_until_the_day_is_published(
    lake: LakeUnderTest, process: Process, run_id: str
) -> None:
    day_rows = keys.gold_key(DATA_QUALITY.name, FRIDAY).rpartition("/")[0]
    rows = {row["outcome"]: row for row in rows_under(lake, day_rows)}
    assert rows.keys() == {"published", "failed"}
    assert rows["failed"] == {
        "raw_format": "ndjson", "files": 2, "records_in": 3, "normalized": 2, "rejected": 0,
        "rejected_by_reason": [], "duplicates": None, "published": None, "run_id": run_id, "outcome": "failed",
    }  # fmt: skip
    published, failed = (parquet(lake, key) for key in sorted(lake.keys(day_rows), reverse=True))
    assert types(published) == types(failed)
    process(FRIDAY)
    assert {row["outcome"] for row in rows_under(lake, day_rows)} == {"published"}
    assert totals(lake, FRIDAY)["published"] == 3


def test_a_validated_object_that_is_gone_is_ordered_anew_and_the_day_stays_as_it_was_until_it_is_there(
    lake: LakeUnderTest, process: Process
) -> None:
    lake.drop("raw/a.ndjson", body(access(1)))
    [key] = lake.keys(keys.VALIDATED)
    lake.s3.delete_object(Bucket=lake.bucket, Key=key)
    with pytest.raises(ValidatedGoneError, match=r"raw/a\.ndjson"):
        process(FRIDAY)
    assert lake.keys(keys.ANALYTICS) == []
    [order] = lake.orders()
    lake.ingestion.obey(order, lake.bucket)
    process(FRIDAY)
    assert totals(lake, FRIDAY)["published"] == 1
