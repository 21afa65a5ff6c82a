from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from aws_cdk import App

from atlas import lake, ledger, questions, schema
from atlas.names import Names
from atlas.run_report import REPORT
from atlas.settings import DaySettings, IngestSettings
from stacks import assets, layer
from stacks.config import DERIVED_VERSIONS_DAYS, StageConfig, read_context
from stacks.orchestration import lock_seconds
from stacks.stage import build_stage
from tests.infra.conftest import STAGES, Synth, synthesize


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_synthesizes_its_stacks(stages: dict[str, Synth], stage: str) -> None:
    parts = ("Data", "Events", "Ingestion", "Jobs", "Monitoring", "Orchestration", "Queries")
    assert set(stages[stage].templates) == {f"Atlas-{stage.capitalize()}-{part}" for part in parts}


@pytest.mark.parametrize("table", schema.TABLES, ids=lambda table: table.name)
def test_every_table_of_the_schema_is_declared(prod: Synth, table: schema.Table) -> None:
    tables = {each["TableInput"]["Name"]: each for each in prod.resources("AWS::Glue::Table")}
    declared = tables[table.name]
    assert declared["DatabaseName"] == prod.config.database
    told = declared["TableInput"]
    storage = told["StorageDescriptor"]

    def columns(given: list[dict[str, str]]) -> tuple[schema.Column, ...]:
        return tuple(schema.Column(each["Name"], each["Type"], each["Comment"]) for each in given)

    assert columns(storage["Columns"]) == table.columns
    assert columns(told["PartitionKeys"]) == table.partition_keys
    assert told["Description"] == table.description
    assert storage["Location"] == f"s3://atlas-lake-prod-111122223333-eu-central-1/{table.location}"
    assert storage["SerdeInfo"]["SerializationLibrary"].endswith("ParquetHiveSerDe")


def test_no_table_is_declared_that_the_schema_lacks(prod: Synth) -> None:
    declared = {each["TableInput"]["Name"] for each in prod.resources("AWS::Glue::Table")}
    assert declared == {named.name for named in (*schema.TABLES, *schema.VIEWS)}


def test_a_view_is_entered_in_the_catalog_as_athena_itself_would(prod: Synth) -> None:
    tables = {each["TableInput"]["Name"]: each["TableInput"] for each in prod.resources("AWS::Glue::Table")}
    for view in schema.VIEWS:
        declared = tables[view.name]
        assert declared["TableType"] == "VIRTUAL_VIEW"
        assert declared["Parameters"]["presto_view"] == "true"
        encoded = declared["ViewOriginalText"].removeprefix("/* Presto View: ").removesuffix(" */")
        told = json.loads(base64.b64decode(encoded))
        assert told["originalSql"] == questions.load(questions.VIEWS)[view.name].sql
        assert told["schema"] == prod.config.database
        kinds = {"varchar": "string", "timestamp(3)": "timestamp"}
        columns = [(column["name"], kinds.get(column["type"], column["type"])) for column in told["columns"]]
        assert columns == [(column.name, column.type) for column in view.columns]
        assert columns == [(each["Name"], each["Type"]) for each in declared["StorageDescriptor"]["Columns"]]


def test_every_question_is_saved_within_athenas_limits_under_its_name(prod: Synth) -> None:
    saved = {each["Name"]: each for each in prod.resources("AWS::Athena::NamedQuery")}
    assert set(saved) == set(questions.load())
    assert {each["WorkGroup"] for each in saved.values()} == {Names("prod").workgroup}
    assert {each["Database"] for each in saved.values()} == {prod.config.database}
    assert max(len(each["Description"]) for each in saved.values()) <= 1_024
    today = saved["logins_today"]["QueryString"]
    assert "--   1. from, a timestamp: '2024-11-30 00:00:00'" in today
    assert today.count("?") == len(questions.load()["logins_today"].parameters)


def test_two_stages_can_share_an_account(stages: dict[str, Synth]) -> None:
    assert stages["dev"].config.database != stages["prod"].config.database

    def names(synth: Synth) -> set[str]:
        keys = (
            *("RoleName", "FunctionName", "QueueName", "TableName", "TopicName", "BucketName", "LogGroupName"),
            *("DeliveryStreamName", "UsagePlanName"),
        )
        properties = [
            resource["Properties"]
            for template in synth.templates.values()
            for resource in template["Resources"].values()
            if "Properties" in resource
        ]
        return {str(each[key]) for each in properties for key in keys if key in each}

    shared = names(stages["dev"]) & names(stages["prod"])
    assert not {name for name in shared if not name.startswith("<")}  # a reference within the stack


def test_the_bucket_announces_its_files_to_eventbridge(prod: Synth) -> None:
    bucket = prod.bucket()
    assert bucket["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    rule = prod.one("AWS::Events::Rule")
    assert rule["EventPattern"]["detail"]["object"]["key"] == [{"prefix": lake.RAW}]
    assert "InputTransformer" not in rule["Targets"][0]


def test_each_zone_is_kept_as_long_as_the_stage_says(dev: Synth) -> None:
    keep = dev.config.retention
    rules = {rule.get("Prefix"): rule for rule in dev.bucket()["LifecycleConfiguration"]["Rules"]}
    assert rules[lake.MANIFESTS]["ExpirationInDays"] == keep.manifests_days
    assert rules[lake.REJECTED]["ExpirationInDays"] == keep.rejected_days
    for results in (lake.QUERY_RESULTS, lake.API_RESULTS):
        assert rules[results]["ExpirationInDays"] == keep.query_results_days
    assert rules[lake.VALIDATED]["ExpirationInDays"] == keep.validated_days
    moved = {"StorageClass": "GLACIER_IR", "TransitionInDays": keep.archive_to_glacier_days}
    assert rules[lake.ARCHIVE]["Transitions"] == [moved]
    expired = rules[None]["NoncurrentVersionExpiration"]["NoncurrentDays"]
    assert expired == keep.noncurrent_versions_days
    for derived in (lake.VALIDATED, lake.PROCESSED):  # each run of a day replaces its silver
        assert rules[derived]["NoncurrentVersionExpiration"]["NoncurrentDays"] == DERIVED_VERSIONS_DAYS
    assert "ExpirationInDays" not in rules[lake.PROCESSED]
    assert not {lake.RAW, lake.ANALYTICS} & set(rules)


@pytest.mark.parametrize("stage", STAGES)
def test_what_everything_else_can_be_made_of_again_is_never_expired(stages: dict[str, Synth], stage: str) -> None:
    """Validated objects come again from the archive when their day needs them, and so does a file withdrawn."""
    rules = stages[stage].bucket()["LifecycleConfiguration"]["Rules"]
    expiring = [rule["Prefix"] for rule in rules if "ExpirationInDays" in rule]
    assert expiring
    for kept in (lake.ARCHIVE, lake.RAW):
        assert not [prefix for prefix in expiring if prefix.startswith(kept) or kept.startswith(prefix)]
    colder = {transition["StorageClass"] for rule in rules for transition in rule.get("Transitions", [])}
    assert colder == {"GLACIER_IR"}  # all others want a restore before they can be read
    [staging] = [rule for rule in rules if rule.get("Prefix") == lake.STAGING]
    assert staging["ExpirationInDays"] * 86400 > 2 * lock_seconds(stages[stage].config)  # a half-done publication


def test_the_ledger_can_be_restored_and_lists_dirty_days(prod: Synth) -> None:
    table = prod.one("AWS::DynamoDB::Table")
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert [key["AttributeName"] for key in table["KeySchema"]] == [ledger.PK, ledger.SK]
    index = table["GlobalSecondaryIndexes"][0]
    assert index["IndexName"] == ledger.DIRTY_INDEX
    assert [key["AttributeName"] for key in index["KeySchema"]] == [ledger.DIRTY, ledger.DAY]


def test_a_file_is_not_handed_out_twice_while_it_is_worked_on(prod: Synth) -> None:
    names = Names("prod")
    queue = prod.one("AWS::SQS::Queue", QueueName=names.ingest_queue)
    function = prod.one("AWS::Lambda::Function", FunctionName=names.ingest_function)
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"].startswith("<IngestDeadLetters")
    mapping = prod.source_of(function)
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"]["MaximumConcurrency"] == prod.config.ingestion.max_concurrency


def test_the_day_function_has_what_the_stage_and_its_settings_say(stages: dict[str, Synth]) -> None:
    for stage, memory in (("prod", 3008), ("local", 1024)):
        function = stages[stage].one("AWS::Lambda::Function", FunctionName=Names(stage).day_function)
        sizes = stages[stage].config.day
        assert sizes.memory_mb == function["MemorySize"] == memory
        assert function["Timeout"] == sizes.timeout_seconds
        assert function["EphemeralStorage"] == {"Size": sizes.ephemeral_storage_mb}
        assert function["Handler"] == "lambda_day.handler.handler"
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert DaySettings.from_env(function["Environment"]["Variables"]) == DaySettings(
            f"atlas-lake-{stage}-111122223333-eu-central-1",
            Names(stage).ledger_table,
            f"arn:aws:sns:eu-central-1:111122223333:{Names(stage).topic}",
            Names(stage).ingest_queue,
            Names(stage).metrics_namespace,
        )


def test_the_ingestion_function_gets_settings_that_it_can_read(prod: Synth) -> None:
    function = prod.one("AWS::Lambda::Function", FunctionName=Names("prod").ingest_function)
    settings = IngestSettings.from_env(function["Environment"]["Variables"])
    assert settings == IngestSettings(
        "atlas-lake-prod-111122223333-eu-central-1",
        Names("prod").ledger_table,
        prod.config.ingestion.part_megabytes,
    )
    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])


@pytest.mark.parametrize("stage", STAGES)
def test_every_log_group_forgets(stages: dict[str, Synth], stage: str) -> None:
    groups = stages[stage].resources("AWS::Logs::LogGroup")
    kept = stages[stage].config.retention.logs_days
    functions = stages[stage].resources("AWS::Lambda::Function")
    # of the jobs, of the state machine, of the events API and its delivery stream, of the query API
    assert len(groups) == len(functions) + 2 + 1 + 2 + 1
    assert {group["RetentionInDays"] for group in groups} == {kept}


def test_both_jobs_run_on_glue_5_1(prod: Synth) -> None:
    """Within which bounds, test_guards.py says."""
    jobs = {job["Name"]: job["GlueVersion"] for job in prod.resources("AWS::Glue::Job")}
    assert jobs == {Names("prod").normalize_job: "5.1", Names("prod").aggregate_job: "5.1"}


def test_crawlers_add_partitions_and_change_nothing(prod: Synth) -> None:
    crawled: list[str] = []
    for crawler in prod.resources("AWS::Glue::Crawler"):
        assert set(crawler["SchemaChangePolicy"].values()) == {"LOG"}
        told = json.loads(crawler["Configuration"])
        assert told["CrawlerOutput"]["Partitions"]["AddOrUpdateBehavior"] == "InheritFromTable"
        assert set(crawler["Targets"]) == {"CatalogTargets"}
        crawled += crawler["Targets"]["CatalogTargets"][0]["Tables"]
    assert crawled == [table.name for table in schema.CRAWLED_TABLES]


def test_schedules_start_the_machine_with_requests_that_it_knows(prod: Synth) -> None:
    schedules = {each["Name"]: each for each in prod.resources("AWS::Scheduler::Schedule")}
    daily, sweep = schedules[Names("prod").daily_schedule], schedules[Names("prod").sweep_schedule]
    assert json.loads(daily["Target"]["Input"]) == {"scheduled_time": "<aws.scheduler.scheduled-time>"}
    assert json.loads(sweep["Target"]["Input"]) == {"sweep": True}
    assert daily["ScheduleExpression"] == "cron(20 0 * * ? *)"
    assert {each["State"] for each in schedules.values()} == {"ENABLED"}


def test_people_are_told_by_mail_where_the_stage_names_them(tmp_path: Path) -> None:
    context = read_context()
    context["stages"]["prod"]["notification_emails"] = ["on-call@example.com"]
    app = App(context=context, outdir=str(tmp_path))
    build_stage(app, StageConfig.load("prod", context))
    app.synth()
    template = json.loads((tmp_path / "Atlas-Prod-Data.template.json").read_text())
    subscriptions = [
        resource["Properties"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::SNS::Subscription"
    ]
    assert [(each["Protocol"], each["Endpoint"]) for each in subscriptions] == [("email", "on-call@example.com")]
    [filtered] = [each["FilterPolicy"] for each in subscriptions]
    assert filtered == {REPORT: [{"exists": False}]}  # no mail for each run that went well


def _asset_hashes(synth: Synth) -> set[str]:
    manifests = [json.loads(path.read_text()) for path in synth.folder.glob("*.assets.json")]
    return {key for manifest in manifests for key in manifest["files"]}


def test_two_synths_of_one_source_are_equal(prod: Synth, tmp_path: Path) -> None:
    again = synthesize("prod", tmp_path)
    assert _asset_hashes(again) == _asset_hashes(prod)
    assert again.templates == prod.templates


def _asset(synth: Synth, *holding: str) -> Path:
    found = [
        path
        for path in synth.folder.glob("asset.*")
        if path.is_dir() and all((path / each).exists() for each in holding)
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    "packages",
    [("lambda_ingest",), ("lambda_day",), ("lambda_events",), ("glue_jobs",), ("lambda_query", "queries")],
    ids=lambda packages: packages[0],
)
def test_an_asset_holds_our_packages_and_nothing_else(prod: Synth, packages: tuple[str, ...]) -> None:
    asset = _asset(prod, packages[0])
    assert {path.name for path in asset.iterdir()} == {"atlas", *packages}
    assert not list(asset.rglob("__pycache__"))
    for name in ("atlas", *packages):
        ours = {path.relative_to(assets.ROOT) for path in (assets.ROOT / name).rglob("*.*") if path.is_file()}
        there = {path.relative_to(asset) for path in (asset / name).rglob("*.*") if path.is_file()}
        built = assets.ROOT / "lambda_query" / "page"  # which goes up in a layer
        left_out = {path.relative_to(assets.ROOT) for path in built.rglob("*.*")}
        assert there == {path for path in ours if path.suffix != ".pyc"} - left_out


@pytest.mark.parametrize(
    ("package", "lock"),
    [
        ("lambda_ingest", layer.INGESTION),
        ("lambda_day", layer.DAY),
        ("lambda_events", layer.EVENTS),
        ("lambda_query", layer.QUERIES),
    ],
    ids=["ingestion", "day", "events", "queries"],
)
def test_a_layer_holds_all_that_its_functions_import(
    stages: dict[str, Synth], tmp_path: Path, package: str, lock: Path
) -> None:
    """As in Lambda: our asset, the layer, the standard library and the runtime's boto3, and nothing else."""
    local = stages["local"]
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    site = Path(boto3.__file__).parents[1]
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py"):
        (runtime / name).symlink_to(site / name)
    functions = local.resources("AWS::Lambda::Function")
    handlers = ", ".join(each["Handler"] for each in functions if each["Handler"].startswith(f"{package}."))
    modules = handlers.replace(".handler,", ",").removesuffix(".handler")
    path = [_asset(local, package), layer.build(lock, "host") / "python", runtime]
    told = subprocess.run(
        [sys.executable, "-S", "-c", f"import {modules}; print(all(map(callable, [{handlers}])))"],
        env={
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "PATH": os.environ["PATH"],
            "AWS_DEFAULT_REGION": "eu-central-1",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout.strip() == "True", told.stderr


@pytest.mark.parametrize(
    "lock", [layer.INGESTION, layer.DAY, layer.EVENTS, layer.QUERIES], ids=lambda lock: lock.stem
)
def test_a_layer_for_aws_is_for_its_platform_and_fits(lock: Path) -> None:
    folder = layer.build(lock, "arm64") / "python"
    binaries = [path.name for path in folder.rglob("*.so")]
    assert binaries
    assert all("cpython-313-aarch64" in name or "abi3" in name for name in binaries)
    wheels = " ".join(path.read_text() for path in folder.glob("*.dist-info/WHEEL"))
    assert "_aarch64" in wheels
    assert "_x86_64" not in wheels
    assert max([17, *map(int, re.findall(r"manylinux_2_(\d+)_", wheels))]) <= 34  # Amazon Linux 2023's glibc
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size < 150 << 20  # of the 250 MiB that a function and its layers may have


def test_a_layer_that_cannot_be_installed_says_what_to_do(tmp_path: Path) -> None:
    lock = tmp_path / "day.lock"
    lock.write_text("orjson==3.13.0 --hash=sha256:" + "0" * 64 + "\n")
    with pytest.raises(layer.LayerError, match=r"stacks/layer/day\.in and run make lock"):
        layer.build(lock, "host", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_app_names_the_stages_when_none_is_chosen(tmp_path: Path) -> None:
    told = subprocess.run(  # as the CDK's command line runs it
        [sys.executable, "app.py"],
        cwd=assets.ROOT,
        env={**os.environ, "CDK_CONTEXT_JSON": json.dumps(read_context()), "CDK_OUTDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert "dev, local, prod" in told.stderr


def test_names_stay_within_their_services_limits() -> None:
    longest = max(read_context()["stages"], key=len)
    assert len(Names(longest).bucket("1" * 12, "ap-southeast-2")) <= 63
