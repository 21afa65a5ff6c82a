from __future__ import annotations

import datetime as dt
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from atlas_cli import cdk
from atlas_cli.local import (
    athena_queries,
    athena_tables,
    crawlers,
    deploy,
    glue_runner,
    glue_runs,
    lambda_runtimes,
    sealed,
)

TRACEBACK = """Traceback (most recent call last):
  File "job.py", line 3, in <module>
    raise RuntimeError("books do not balance")
RuntimeError: books do not balance
"""
SPARK_TRACEBACK = """WARN something
Traceback (most recent call last):
  File "job.py", line 3, in <module>
    df.count()
py4j.protocol.Py4JJavaError: An error occurred while calling o40.text.
: org.apache.hadoop.security.AccessControlException: AccessDenied: no (s3://lake/secret)
\tat org.apache.hadoop.Thing.call(Thing.java:1)
26/11/20 INFO ShutdownHookManager: Shutdown hook called
"""


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (TRACEBACK, "RuntimeError: books do not balance"),
        (
            TRACEBACK + "\nDuring handling of ...\n\n" + TRACEBACK.replace("balance", "add up"),
            "RuntimeError: books do not add up",
        ),
        (
            SPARK_TRACEBACK,
            "py4j.protocol.Py4JJavaError: An error occurred while calling o40.text. "
            ": org.apache.hadoop.security.AccessControlException: AccessDenied: no (s3://lake/secret)",
        ),
        ("something\nexpected --process_date\n", "expected --process_date"),
        ("", "the script ended without a word"),
    ],
    ids=["python", "last of two", "spark", "no traceback", "nothing"],
)
def test_a_failed_run_says_what_its_last_exception_said(log: str, message: str) -> None:
    assert glue_runs.failure_message(log) == message


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("date=2024-11-29/part-0.parquet", ("2024-11-29",)),
        ("part-0.parquet", None),
        ("date=2024-11-29/_SUCCESS", None),
        ("_staging/date=2024-11-29/part-0.parquet", None),
        (".hidden/part-0.parquet", None),
        ("day=29/part-0.parquet", None),
        ("date=2024-11-29/", None),
        ("date=2024-11-29/deeper/part-0.parquet", None),
    ],
)
def test_a_crawl_sees_the_partitions_that_the_table_declares(key: str, values: tuple[str, ...] | None) -> None:
    assert crawlers.partition_values(key, ["date"]) == values


@pytest.mark.parametrize(
    ("hive", "duckdb"),
    [
        ("string", "VARCHAR"),
        ("bigint", "BIGINT"),
        ("decimal(10,2)", "DECIMAL(10,2)"),
        ("map<string,bigint>", "MAP(VARCHAR, BIGINT)"),
        ("array<map<string,array<int>>>", "MAP(VARCHAR, INTEGER[])[]"),
        ("struct<a:int,b:decimal(10,2)>", 'STRUCT("a" INTEGER, "b" DECIMAL(10,2))'),
        ("varchar(10)", "VARCHAR"),
    ],
)
def test_a_hive_type_has_its_duckdb_type(hive: str, duckdb: str) -> None:
    assert athena_tables.duckdb_type(hive) == duckdb


def test_execution_parameters_fill_only_real_question_marks() -> None:
    query = "select '?', \"a?\" -- why?\nfrom t where x = ? and y > ?"
    assert athena_queries.bind(query, ["'it''s'", "3"]) == (
        "select '?', \"a?\" -- why?\nfrom t where x = 'it''s' and y > 3"
    )


def test_values_are_written_as_athena_writes_them() -> None:
    moment = dt.datetime(2024, 11, 29, 23, 16, 50, 123456, tzinfo=dt.UTC)
    written = [athena_tables.text(v) for v in (True, moment, {"a": 1, "b": None}, [1, "x"], dt.date(2024, 11, 29))]
    assert written == ["true", "2024-11-29 23:16:50.123", "{a=1, b=null}", "[1, x]", "2024-11-29"]


def test_a_functions_error_is_named_after_its_exception() -> None:
    assert lambda_runtimes.error_type("START\n" + TRACEBACK) == "RuntimeError"
    assert (
        lambda_runtimes.error_type(TRACEBACK.replace("RuntimeError: b", "botocore.ex.ClientError: b"))
        == "ClientError"
    )
    assert lambda_runtimes.error_type("no traceback") is None


def test_nothing_of_the_users_aws_reaches_the_sealed_environment() -> None:
    mine = {
        "PATH": "/bin",
        "AWS_PROFILE": "prod",
        "AWS_CA_BUNDLE": "x",
        "https_proxy": "x",
        "CDK_DEFAULT_ACCOUNT": "1",
    }
    assert sealed.scrubbed(mine) == {"PATH": "/bin"}


def test_a_sealed_session_ignores_profile_endpoint_and_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_PROFILE": "does-not-exist",
        "AWS_ENDPOINT_URL_S3": "http://elsewhere",
        "AWS_REGION": "eu-north-1",
        "HTTP_PROXY": "http://elsewhere",
        "AWS_CA_BUNDLE": "/does/not/exist",
    }.items():
        monkeypatch.setenv(name, value)
    client: Any = sealed.session("http://127.0.0.1:9").client("s3")
    assert (client.meta.endpoint_url, client.meta.region_name) == ("http://127.0.0.1:9", sealed.REGION)
    assert client.meta.config.proxies == {}


def test_the_cdk_finds_this_python_and_the_node_from_pypi_first() -> None:
    path = cdk.environment({"PATH": "/usr/bin"})["PATH"].split(os.pathsep)
    assert path == [str(Path(sys.executable).parent), str(cdk.node_bin()), "/usr/bin"]
    assert all(Path(part).exists() for part in cdk.command("--version")[:2])


def test_a_failed_deployment_names_the_resource_and_the_reason() -> None:
    output = [
        "data-local |  3/31 | 9:01:02 AM | CREATE_IN_PROGRESS   | AWS::S3::Bucket | Lake (Lake1) ",
        "data-local |  3/31 | 9:01:02 AM | CREATE_FAILED        | AWS::S3::Bucket | Lake (Lake1) is taken",
    ]
    assert deploy.reasons(output) == ["data-local: CREATE_FAILED AWS::S3::Bucket | Lake (Lake1) is taken"]


def test_a_script_gets_its_arguments_and_glues_own_but_not_what_glue_consumes() -> None:
    arguments = {"--process_date": "2024-11-29", "--extra-py-files": "s3://b/x.zip", "--conf": "a=1 --conf b=2"}
    run = glue_runner.Run("job", "jr_1", "role", "s3://b/job.py", arguments, "http://x", "receipt", "lock")
    argv = glue_runner.script_arguments(run)
    assert argv[:2] == ["--process_date", "2024-11-29"]
    assert argv[-4:] == ["--JOB_RUN_ID", "jr_1", "--JOB_NAME", "job"]
    assert not {"--extra-py-files", "--conf"} & set(argv)
    settings = glue_runner.spark_settings(arguments, 1, ["lake"])
    assert (settings["a"], settings["b"]) == ("1", "2")
    json.dumps(settings)  # strings only
