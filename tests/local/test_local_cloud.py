"""The patched emulator, seen through the AWS API, as what is deployed to it sees it."""

from __future__ import annotations

import json
import textwrap
import time
from typing import Any

import duckdb
import pytest
from botocore.exceptions import ClientError

from atlas_cli.local.emulator import Emulator
from tests.local.made import Made, allow, policy, wait, zipped

JOB = """
    import sys
    import boto3
    import helper  # from --extra-py-files
    from pyspark.sql import SparkSession

    given = dict(zip(sys.argv[1:], sys.argv[2:], strict=False))
    spark = SparkSession.builder.getOrCreate()
    lake = f"s3://{given['--bucket']}"
    if given["--mode"] == "forbidden":
        spark.read.text(f"{lake}/secret/").show()
    if given["--mode"] == "broken":
        raise RuntimeError("the books do not balance")
    rows = spark.range(0, 5, 1, 1).selectExpr("id as total_requests", "DATE '2024-11-29' as date")
    spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
    rows.write.partitionBy("date").mode("overwrite").parquet(f"{lake}/open/t")
    # the job's own calls see what Spark has just written, and the other way round
    s3 = boto3.client("s3")
    key = s3.list_objects_v2(Bucket=given["--bucket"], Prefix="open/t/date=2024-11-29/")["Contents"][0]["Key"]
    copy = {"Bucket": given["--bucket"], "Key": key}
    s3.copy_object(Bucket=given["--bucket"], Key="open/t/date=2024-11-30/part.parquet", CopySource=copy)
    assert spark.read.parquet(f"{lake}/open/t").count() == 2 * helper.ROWS
"""
FUNCTION = """
    import json, os, sys
    def handler(event, context):
        if event.get("raise"):
            raise KeyError("nothing")
        import boto3
        try:
            import duckdb
            more = True
        except ImportError:
            more = False
        private = [n for n in os.environ if n.startswith("MINISTACK") or n in ("AUTH", "GATEWAY_PORT")]
        who = boto3.client("sts").get_caller_identity()["Arn"]
        memory = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        return {"venv": more, "private": private, "who": who, "memory": memory}
"""
ENDINGS = """
    import os, signal, time
    class DayTooLargeError(Exception):
        pass
    def handler(event, context):
        match event["how"]:
            case "is killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "takes too long":
                time.sleep(60)
            case "raises":
                raise DayTooLargeError("too large")
        return {}
"""


def test_a_policy_that_enforces_tls_lets_loopback_through(made: Made) -> None:
    bucket = made.bucket()
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    made.s3.put_bucket_policy(Bucket=bucket, Policy=policy({**deny, "Condition": insecure}))
    made.s3.put_object(Bucket=bucket, Key="x", Body=b"1")
    assert made.s3.get_object(Bucket=bucket, Key="x")["Body"].read() == b"1"


def test_an_object_event_names_the_version(made: Made) -> None:
    bucket, (url, arn) = made.bucket(), made.queue()
    made.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    made.s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    events, sqs = made.session.client("events"), made.session.client("sqs")
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
    events.put_rule(Name=made.name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=made.name, Targets=[{"Id": "q", "Arn": arn}])
    version = made.s3.put_object(Bucket=bucket, Key="raw/ü x", Body=b"1")["VersionId"]
    body = json.loads(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"][0]["Body"])
    assert body["detail"]["object"]["version-id"] == version
    assert body["detail"]["object"]["key"] == "raw/ü x"


def test_a_schedules_placeholders_are_filled(made: Made) -> None:
    url, arn = made.queue()
    role = made.role("scheduler.amazonaws.com", allow("sqs:SendMessage", arn))
    soon = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 1))
    made.session.client("scheduler").create_schedule(
        Name=made.name,
        ScheduleExpression=f"at({soon})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": role, "Input": '{"at": "<aws.scheduler.scheduled-time>"}'},
    )
    message = made.session.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"][0]
    at = json.loads(message["Body"])["at"]
    assert abs(time.mktime(time.strptime(at, "%Y-%m-%dT%H:%M:%SZ")) - time.mktime(time.gmtime())) < 30


def test_a_function_has_its_role_and_boto3_and_nothing_of_ours(made: Made) -> None:
    functions = made.session.client("lambda")
    role = made.role("lambda.amazonaws.com", allow("logs:*", "*"))
    functions.create_function(
        FunctionName=made.name,
        Runtime="python3.11",
        Handler="index.handler",
        Role=role,
        Code={"ZipFile": zipped(index=FUNCTION)},
        MemorySize=1024,
    )
    answer = json.loads(functions.invoke(FunctionName=made.name)["Payload"].read())
    assert (answer["venv"], answer["private"], answer["memory"]) == (False, [], "1024")
    assert f"assumed-role/{role.rsplit('/', 1)[-1]}/" in answer["who"]
    failed = functions.invoke(FunctionName=made.name, Payload=json.dumps({"raise": True}))
    assert json.loads(failed["Payload"].read())["errorType"] == "KeyError"


def test_a_function_in_a_map_ends_with_the_errors_of_aws_and_leaves_its_tasks_in_the_history(made: Made) -> None:
    functions = made.session.client("lambda")
    for name, timeout in ((made.name, 2), (f"{made.name}-full", 3)):
        functions.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Handler="index.handler",
            Role=made.role("lambda.amazonaws.com", allow("logs:*", "*")),
            Code={"ZipFile": zipped(index=ENDINGS)},
            Timeout=timeout,
        )
    functions.put_function_concurrency(FunctionName=f"{made.name}-full", ReservedConcurrentExecutions=0)
    endings = {
        "ends well": None,
        "raises": "DayTooLargeError",
        "is killed": "Runtime.ExitError",
        "takes too long": "Sandbox.Timedout",
        "has no room": "Lambda.TooManyRequestsException",
    }
    call = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {
            "FunctionName": f"{{% '{made.name}' & ($states.input.how = 'has no room' ? '-full' : '') %}}",
            "Payload": "{% $states.input %}",
        },
        "Output": None,
        "Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput.Error %}", "Next": "Caught"}],
        "End": True,
    }
    inner = {"StartAt": "Call", "States": {"Call": call, "Caught": {"Type": "Pass", "End": True}}}
    items = [{"how": how} for how in endings]
    each = {"Type": "Map", "Items": items, "ItemProcessor": inner, "End": True}
    ended = made.execute({"StartAt": "Each", "States": {"Each": each}})
    assert ended["status"] == "SUCCEEDED", ended["cause"]
    assert json.loads(ended["output"]) == list(endings.values())

    sfn = made.session.client("stepfunctions")
    history = sfn.get_execution_history(executionArn=ended["executionArn"])["events"]
    entered = [event["stateEnteredEventDetails"] for event in history if event["type"] == "TaskStateEntered"]
    assert {state["name"] for state in entered} == {"Call"}
    assert sorted(json.loads(state["input"])["how"] for state in entered) == sorted(endings)
    assert len([event for event in history if event["type"] == "TaskStateExited"]) == len(endings)


def test_a_spark_job_runs_in_a_state_machine_with_its_role(cloud: Emulator, made: Made) -> None:
    bucket, glue = made.bucket(), made.session.client("glue")
    made.s3.put_object(Bucket=bucket, Key="code/job.py", Body=textwrap.dedent(JOB).encode())
    made.s3.put_object(Bucket=bucket, Key="code/helper.zip", Body=zipped(helper="ROWS = 5"))
    made.s3.put_object(Bucket=bucket, Key="secret/x", Body=b"1")
    where = f"arn:aws:s3:::{bucket}"
    listed = {**allow("s3:ListBucket", where), "Condition": {"StringLike": {"s3:prefix": ["open/*", "code/*"]}}}
    open_ = allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], f"{where}/open/*", f"{where}/code/*")
    glue.create_job(
        Name=made.name,
        Role=made.role("glue.amazonaws.com", open_, listed),
        Command={"Name": "glueetl", "ScriptLocation": f"s3://{bucket}/code/job.py"},
        DefaultArguments={
            "--extra-py-files": f"s3://{bucket}/code/helper.zip",
            "--bucket": bucket,
            "--mode": "overridden by the run",
        },
        ExecutionProperty={"MaxConcurrentRuns": 1},
    )

    def run(mode: str) -> dict[str, Any]:
        task = {"JobName": made.name, "Arguments": {"--mode": mode}}
        sync = {
            "Type": "Task",
            "Resource": "arn:aws:states:::glue:startJobRun.sync",
            "Arguments": task,
            "End": True,
        }
        return made.execute({"StartAt": "Job", "States": {"Job": sync}})

    good = run("good")
    assert good["status"] == "SUCCEEDED", good["cause"]
    run_id = json.loads(good["output"])["Id"]
    receipt = json.loads((cloud.glue_logs / made.name / f"{run_id}.json").read_text())
    assert (receipt["exit_status"], receipt["script"]) == (0, f"s3://{bucket}/code/job.py")

    forbidden = run("forbidden")
    assert forbidden["error"] == "States.TaskFailed"
    assert "AccessDenied" in json.loads(forbidden["cause"])["ErrorMessage"]

    broken = run("broken")
    assert json.loads(broken["cause"])["ErrorMessage"] == "RuntimeError: the books do not balance"


def test_a_job_has_no_more_runs_at_once_than_it_may(made: Made) -> None:
    bucket, glue = made.bucket(), made.session.client("glue")
    made.s3.put_object(Bucket=bucket, Key="job.py", Body=b"import time; time.sleep(60)")
    role = made.role("glue.amazonaws.com", allow("s3:*", "*"))
    command: Any = {"Name": "glueetl", "ScriptLocation": f"s3://{bucket}/job.py"}
    glue.create_job(Name=made.name, Role=role, Command=command)  # one at once, unless told otherwise
    first = glue.start_job_run(JobName=made.name)["JobRunId"]
    with pytest.raises(ClientError, match="ConcurrentRunsExceededException"):
        glue.start_job_run(JobName=made.name)
    glue.batch_stop_job_run(JobName=made.name, JobRunIds=[first])
    assert glue.get_job_run(JobName=made.name, RunId=first)["JobRun"]["JobRunState"] == "STOPPED"
    glue.batch_stop_job_run(JobName=made.name, JobRunIds=[glue.start_job_run(JobName=made.name)["JobRunId"]])


def test_athena_sees_a_partition_once_a_crawler_with_the_right_to_it_has_found_it(
    made: Made, tmp_path: Any
) -> None:
    bucket, glue = made.bucket(), made.session.client("glue")
    row = "select 7::bigint as n, timestamptz '2024-11-29 23:16:50.123456+00' as moment"
    duckdb.connect().execute(f"copy ({row}) to '{tmp_path}/x.parquet'")
    for key in ("t/date=2024-11-29/x.parquet", "t/_staging/date=2024-11-30/x.parquet"):
        made.s3.upload_file(str(tmp_path / "x.parquet"), bucket, key)
    glue.create_database(DatabaseInput={"Name": made.name})
    types = {"n": "bigint", "moment": "timestamp", "added_later": "map<string,bigint>"}
    glue.create_table(
        DatabaseName=made.name,
        TableInput={
            "Name": "t",
            "PartitionKeys": [{"Name": "date", "Type": "date"}],
            "StorageDescriptor": {
                "Location": f"s3://{bucket}/t/",
                "Columns": [{"Name": name, "Type": type_} for name, type_ in types.items()],
                "SerdeInfo": {
                    "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
                },
                "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            },
        },
    )
    catalog = allow(["glue:GetTable", "glue:GetPartitions", "glue:BatchCreatePartition"], "*")
    reader = made.role("glue.amazonaws.com", catalog, allow(["s3:ListBucket", "s3:GetObject"], "arn:aws:s3:::*"))
    roles = {
        "stranger": made.role("lambda.amazonaws.com", allow("*", "*")),
        "blind": made.role("glue.amazonaws.com", catalog),
        "reader": reader,
    }
    for name, role in roles.items():
        targets: Any = {"CatalogTargets": [{"DatabaseName": made.name, "Tables": ["t"]}]}
        glue.create_crawler(Name=f"{made.name}-{name}", Role=role, Targets=targets)

    assert rows(made, bucket, 'select count(*) as n from t where "date" is not null') == [["0"]]
    assert "does not trust glue" in crawled(made, "stranger")["ErrorMessage"]
    assert crawled(made, "blind")["Status"] == "FAILED"
    assert "AccessDenied" in crawled(made, "blind")["ErrorMessage"]
    assert crawled(made, "reader")["Status"] == "SUCCEEDED"
    query = 'select "date", n, moment, added_later from t where "date" = cast(? as date)'
    assert rows(made, bucket, query, "'2024-11-29'") == [["2024-11-29", "7", "2024-11-29 23:16:50.123", None]]
    assert rows(made, bucket, query, "'2024-11-30'") == []


def test_athena_tells_a_query_as_it_was_sent_and_uses_results_again_that_are_young_enough(made: Made) -> None:
    bucket, athena = made.bucket(), made.session.client("athena")
    query = "SELECT random() AS n WHERE ? <> ''"

    def ended(text: str, parameter: str, minutes: int | None) -> Any:
        by_age: Any = {"Enabled": minutes is not None, **({"MaxAgeInMinutes": minutes} if minutes else {})}
        started = athena.start_query_execution(
            QueryString=text,
            ExecutionParameters=[parameter],
            ResultConfiguration={"OutputLocation": f"s3://{bucket}/results/"},
            ResultReuseConfiguration={"ResultReuseByAgeConfiguration": by_age},
        )["QueryExecutionId"]
        ask = lambda: athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]  # noqa: E731
        told = wait(ask, lambda e: e["Status"]["State"] not in ("QUEUED", "RUNNING"), 20)
        assert (told["Query"], told["ExecutionParameters"]) == (text, [parameter])
        found = athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
        reused = told["Statistics"]["ResultReuseInformation"]["ReusedPreviousResult"]
        return reused, found[1]["Data"][0]["VarCharValue"]

    _, first = ended(query, "'a'", None)
    assert ended(f"-- again\n{query}", "'a'", 5) == (True, first)
    different = query.replace("''", "'c'")
    for text, parameter, minutes in ((query, "'a'", None), (query, "'b'", 5), (different, "'a'", 5)):
        reused, other = ended(text, parameter, minutes)
        assert (reused, other == first) == (False, False)


def crawled(made: Made, name: str) -> Any:
    glue = made.session.client("glue")
    glue.start_crawler(Name=f"{made.name}-{name}")
    ask = lambda: glue.get_crawler(Name=f"{made.name}-{name}")["Crawler"]  # noqa: E731
    return wait(ask, lambda crawler: crawler["State"] == "READY", 20)["LastCrawl"]


def rows(made: Made, bucket: str, query: str, *parameters: str) -> list[list[str | None]]:
    athena = made.session.client("athena")
    more: Any = {"ExecutionParameters": list(parameters)} if parameters else {}
    started = athena.start_query_execution(
        QueryString=query,
        QueryExecutionContext={"Database": made.name},
        ResultConfiguration={"OutputLocation": f"s3://{bucket}/results/"},
        **more,
    )["QueryExecutionId"]
    ask = lambda: athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]  # noqa: E731
    ended = wait(ask, lambda e: e["Status"]["State"] not in ("QUEUED", "RUNNING"), 20)
    assert ended["Status"]["State"] == "SUCCEEDED", ended["Status"]
    assert ended["ResultConfiguration"]["OutputLocation"] == f"s3://{bucket}/results/{started}.csv"
    wait(
        lambda: made.s3.list_objects_v2(Bucket=bucket, Prefix=f"results/{started}.csv"), lambda r: r["KeyCount"], 5
    )
    found = athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
    return [[cell.get("VarCharValue") for cell in row["Data"]] for row in found[1:]]
