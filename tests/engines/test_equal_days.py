"""The promise of the two engines: the same day comes out the same, value by value and Parquet type by type."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.engines.conftest import ADAPTIVE, on_duckdb, on_spark
from tests.engines.delivered_events import some_of_everything
from tests.engines.outputs import outputs
from tests.engines.random_days import RandomDay
from tests.lake_under_test import FRIDAY, LakeUnderTest


@pytest.fixture
def _as_glue_plans(session: SparkSession) -> Iterator[None]:
    session.conf.set(ADAPTIVE, "true")
    yield
    session.conf.set(ADAPTIVE, "false")


def _both(lake: LakeUnderTest, spark: SparkSession, scratch: Path, day: date) -> None:
    on_spark(lake, spark, day)
    ours = outputs(lake, day)
    on_duckdb(lake, scratch, day)
    theirs = outputs(lake, day)
    assert ours.keys() == theirs.keys()
    for place, (types, rows) in ours.items():
        assert theirs[place][0] == types, place
        assert len(theirs[place][1]) == len(rows), place
        for one, other in zip(rows, theirs[place][1], strict=True):
            assert one == other, place


def _drop(lake: LakeUnderTest, files: Iterable[tuple[str, bytes]]) -> None:
    for key, body in files:
        lake.drop(key, body)


@pytest.mark.usefixtures("_as_glue_plans")
def test_a_day_of_all_formats_and_all_troubles_comes_out_the_same(
    lake: LakeUnderTest, spark: SparkSession, tmp_path: Path
) -> None:
    _drop(lake, RandomDay(1, FRIDAY).files())
    some_of_everything(lake, FRIDAY)
    _both(lake, spark, tmp_path, FRIDAY)


@pytest.mark.parametrize(
    "day",
    [date(1, 1, 1), date(1582, 10, 10), date(9999, 12, 31)],
    ids=str,
)
def test_the_first_and_the_last_day_that_there_are_come_out_the_same(
    lake: LakeUnderTest, spark: SparkSession, tmp_path: Path, day: date
) -> None:
    _drop(lake, RandomDay(day.year, day, ["app_log"]).files())
    _both(lake, spark, tmp_path, day)


def test_a_day_of_one_log_type_comes_out_the_same(lake: LakeUnderTest, spark: SparkSession, tmp_path: Path) -> None:
    record = {"timestamp": "2024-11-29T10:00:00Z", "level": "info", "message": "m", "duration_ms": 1.5}
    _drop(lake, [("raw/app_log/a.log", json.dumps(record).encode())])
    _both(lake, spark, tmp_path, FRIDAY)


def test_an_empty_day_comes_out_the_same(lake: LakeUnderTest, spark: SparkSession, tmp_path: Path) -> None:
    _both(lake, spark, tmp_path, FRIDAY)


def test_a_day_of_nothing_but_refused_records_comes_out_the_same(
    lake: LakeUnderTest, spark: SparkSession, tmp_path: Path
) -> None:
    _drop(lake, [("raw/ndjson/a.ndjson", b'{"timestamp": "2024-11-29T10:00:00Z", "ip": "x"}\n{')])
    _both(lake, spark, tmp_path, FRIDAY)
