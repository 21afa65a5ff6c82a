"""What is counted of a run of a day, by the code that both engines share."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atlas import lake as keys
from atlas import metrics
from atlas.books import BooksError
from lambda_day.limits import Limits
from lambda_day.process import run
from tests.lake_under_test import FRIDAY, LakeUnderTest

LIMITS = Limits.of(1769, 900_000)


def records(count: int, refused: int = 0) -> bytes:
    good = {"timestamp": "2024-11-29T10:00:00Z", "ip": "192.0.2.1", "status": 200}
    lines = [json.dumps({**good, "endpoint": f"/{number}"}) for number in range(count)]
    return "\n".join([*lines, *["{"] * refused]).encode()


def test_a_published_day_puts_its_books(lake: LakeUnderTest, tmp_path: Path) -> None:
    lake.drop("raw/a.ndjson", records(120, refused=4))
    lake.drop("raw/b.ndjson", records(36))
    run(lake.settings(FRIDAY), lake.clients, LIMITS, tmp_path)
    assert lake.counted() == {
        metrics.DAYS_PUBLISHED: 1,
        metrics.RECORDS_IN: 160,
        metrics.RECORDS_PUBLISHED: 120,
        metrics.RECORDS_DUPLICATE: 36,
        metrics.RECORDS_REJECTED: 4,
        metrics.RECORDS_REJECTED_PERCENT: 2.5,
    }


@pytest.mark.parametrize("count", [0, metrics.FEWEST_RECORDS - 1])
def test_the_share_of_a_handful_of_records_is_no_news(lake: LakeUnderTest, tmp_path: Path, count: int) -> None:
    lake.drop("raw/a.ndjson", records(0, refused=count))
    run(lake.settings(FRIDAY), lake.clients, LIMITS, tmp_path)
    found = lake.counted()
    assert found[metrics.DAYS_PUBLISHED] == 1
    assert metrics.RECORDS_REJECTED_PERCENT not in found


def _unbalanced(lake: LakeUnderTest) -> None:
    """Loses a record of the day between ingestion and its run."""
    lake.drop("raw/a.ndjson", records(10))
    [key] = lake.keys(keys.VALIDATED)
    lines = gzip.decompress(lake.objects()[key]).splitlines(keepends=True)
    lake.s3.put_object(Bucket=lake.bucket, Key=key, Body=gzip.compress(b"".join(lines[:-1])))


def test_a_run_that_fails_says_so_and_whether_it_was_for_the_books(lake: LakeUnderTest, tmp_path: Path) -> None:
    _unbalanced(lake)
    with pytest.raises(BooksError):
        run(lake.settings(FRIDAY), lake.clients, LIMITS, tmp_path)
    assert lake.counted() == {metrics.DAYS_FAILED: 1, metrics.BOOKS_UNBALANCED: 1}
    [key] = lake.keys(keys.VALIDATED)
    lake.s3.put_object(Bucket=lake.bucket, Key=key, Body=b"no gzip")
    with pytest.raises(Exception, match="is damaged"):
        run(lake.settings(FRIDAY), lake.clients, LIMITS, tmp_path)
    assert lake.counted() == {metrics.DAYS_FAILED: 2, metrics.BOOKS_UNBALANCED: 1}


class _Broken:
    """CloudWatch on a bad day."""

    def put_metric_data(self, **_: Any) -> None:
        raise ConnectionError("no answer")


def test_what_cannot_be_counted_is_published_or_told_all_the_same(
    lake: LakeUnderTest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clients = replace(lake.clients, cloudwatch=_Broken())
    lake.drop("raw/b.ndjson", records(3))
    assert run(lake.settings(FRIDAY), clients, LIMITS, tmp_path)["records_in"] == 3
    assert "not counted: DaysPublished, RecordsIn" in caplog.text
    assert "of 2024-11-29: no answer" in caplog.text
    _unbalanced_after_all(lake)
    lake.notices()
    with pytest.raises(BooksError):
        run(lake.settings(FRIDAY), clients, LIMITS, tmp_path)
    [notice] = lake.notices()
    assert "FAILED: BooksError" in notice["subject"]


def _unbalanced_after_all(lake: LakeUnderTest) -> None:
    [key] = lake.keys(keys.VALIDATED)
    lake.s3.put_object(Bucket=lake.bucket, Key=key, Body=gzip.compress(b""))
