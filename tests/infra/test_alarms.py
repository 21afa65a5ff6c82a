"""Alarms: that each looks at something that is put, when it goes off, and what it tells people."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from atlas.metrics import ALARMS
from atlas.names import Names
from atlas_cli.local.cloudwatch import state
from stacks.config import AlarmsConfig, StageConfig, read_context
from stacks.monitoring import MonitoringStack
from tests.infra.conftest import STAGES, Synth, plain
from tests.infra.watched import Json, exists, of_alarm

Values = Mapping[str, float]
"""What was put in one window of time, by the metric's name."""
QUIET: Values = {}


def alarms(synth: Synth) -> dict[str, Json]:
    """The alarms of a stage by their ids."""
    names = {Names(synth.config.stage).alarm(each): each for each in ALARMS}
    return {names[alarm["AlarmName"]]: alarm for alarm in synth.resources("AWS::CloudWatch::Alarm")}


def _monitoring(folder: Path, **changes: Any) -> dict[str, Json]:
    """The alarms of a stage that differs from prod."""
    config = dataclasses.replace(StageConfig.load("prod", read_context()), **changes)
    app = App(outdir=str(folder))
    stack = MonitoringStack(app, config)
    app.synth()
    template = plain(json.loads((folder / stack.template_file).read_text()))
    names = {Names("prod").alarm(each): each for each in ALARMS}
    found = [each for each in template["Resources"].values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    return {names[each["Properties"]["AlarmName"]]: each["Properties"] for each in found}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_every_alarm_which_writes_to_its_topic_and_links_to_its_section_of_the_runbook(
    stages: dict[str, Synth], stage: str
) -> None:
    found = alarms(stages[stage])
    assert sorted(found) == sorted(ALARMS)
    for name, alarm in found.items():
        assert alarm["AlarmActions"] == [f"arn:aws:sns:eu-central-1:111122223333:{Names(stage).topic}"], name
        assert alarm.get("OKActions", alarm["AlarmActions"]) == alarm["AlarmActions"], name
        told, _, link = alarm["AlarmDescription"].rpartition(" Runbook: ")
        assert link == f"{stages[stage].config.runbook_url}#{name}"
        assert len(told.split()) > 10, name  # what it means, and what to do
        assert len(alarm["AlarmDescription"]) <= 1024


@pytest.mark.parametrize("stage", STAGES)
def test_every_alarm_looks_at_metrics_that_are_put(stages: dict[str, Synth], stage: str) -> None:
    for name, alarm in alarms(stages[stage]).items():
        for looked in of_alarm(alarm):
            assert exists(looked, stages[stage]), f"{name}: {looked}"


def test_every_dead_letter_queue_is_watched(prod: Synth) -> None:
    targets = {
        queue["RedrivePolicy"]["deadLetterTargetArn"]
        for queue in prod.resources("AWS::SQS::Queue")
        if "RedrivePolicy" in queue
    } | {
        target["DeadLetterConfig"]["Arn"]
        for rule in prod.resources("AWS::Events::Rule")
        for target in rule["Targets"]
        if "DeadLetterConfig" in target
    }
    queues = {dict(looked.dimensions)["QueueName"] for looked in of_alarm(alarms(prod)["dead-letters"])}
    assert {f"<{name}.Arn>" for name in _logical_names(prod, queues)} == targets


def _logical_names(synth: Synth, queues: set[str]) -> set[str]:
    """What the templates call the queues of these names."""
    return {
        name
        for template in synth.templates.values()
        for name, made in template["Resources"].items()
        if made["Type"] == "AWS::SQS::Queue" and made["Properties"]["QueueName"] in queues
    }


def test_every_function_that_can_fail_or_be_throttled_is_watched(prod: Synth) -> None:
    functions = {f["FunctionName"] for f in prod.resources("AWS::Lambda::Function") if "FunctionName" in f}
    looked = [each for alarm in alarms(prod).values() for each in of_alarm(alarm)]
    by_metric = {
        metric: {dict(each.dimensions)["FunctionName"] for each in looked if each.name == metric}
        for metric in ("Errors", "Throttles")
    }
    assert by_metric["Throttles"] == functions
    # The state machine's runs tell of the day function; the authorizer refuses by an error, and is an error of 500
    # for the gateway where it fails.
    assert by_metric["Errors"] == functions - {Names("prod").day_function, Names("prod").authorizer_function}


def test_requests_are_counted_as_the_gateway_counts_them(prod: Synth) -> None:
    """By its samples, whatever their sum: watched.API_GATEWAY."""
    queries = [query for name in ("requests-refused", "events-errors") for query in alarms(prod)[name]["Metrics"]]
    counts = [
        query["MetricStat"]
        for query in queries
        if query.get("MetricStat", {}).get("Metric", {}).get("MetricName") == "Count"
    ]
    assert [count["Stat"] for count in counts] == ["SampleCount"] * 2


def test_the_delivery_stream_is_late_long_before_it_gives_up_and_long_after_its_buffer_is_full(
    tmp_path: Path,
) -> None:
    """It drops what it could not write for 24 hours, and may gather for half as long again as it is told to."""
    prod = StageConfig.load("prod", read_context())
    for seconds in (60, 900):
        events = dataclasses.replace(prod.events, buffer_seconds=seconds)
        alarm = _monitoring(tmp_path / str(seconds), events=events)["events-delivery"]
        late = next(age for age in range(0, 86_400, 30) if _delivery(alarm, age) == "ALARM")
        assert 1.5 * seconds + 600 < late < 2 * 3600


def _delivery(alarm: Json, age: float) -> str:
    return goes(alarm, *[{"DeliveryToS3.DataFreshness": age}] * 2)


@pytest.mark.parametrize("sweep_minutes", [5, 1440])
def test_alarms_keep_within_what_cloudwatch_takes(tmp_path: Path, sweep_minutes: int) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
    prod = StageConfig.load("prod", read_context())
    when = dataclasses.replace(prod.orchestration, sweep_minutes=sweep_minutes)
    for alarm in _monitoring(tmp_path, orchestration=when).values():
        queries = [query["MetricStat"] for query in alarm.get("Metrics", ()) if "MetricStat" in query]
        assert len(queries) <= 10
        periods = {query["Period"] for query in queries} or {alarm["Period"]}
        [period] = periods
        assert period % 60 == 0
        assert period * alarm["EvaluationPeriods"] <= (86_400 if period < 3600 else 604_800)


def test_thresholds_are_those_of_the_stage(tmp_path: Path) -> None:
    limits = AlarmsConfig(11, 12, 13, 14, 15, "16:30")
    thresholds = {name: alarm["Threshold"] for name, alarm in _monitoring(tmp_path, alarms=limits).items()}
    assert {name: threshold for name, threshold in thresholds.items() if threshold} == {
        "refused-files": 11,
        "refused-records": 12,
        "ingestion-queue-age": 13 * 60,
        "ingestion-queue-depth": 14,
        "run-too-long": 15 * 3600 * 1000,
        "no-gold": 16.5,
        # the same in every stage
        "authorizations-failed": 50,
        "requests-refused": 10,
        "events-queue-age": 15 * 60,
    }


def goes(alarm: Json, *windows: Values) -> str:
    """What becomes of an alarm, the last window first; windows that are not given are quiet."""

    def window(put: Values) -> Any:
        return lambda stat: put.get(stat["Metric"]["MetricName"])

    quiet = [QUIET] * (alarm["EvaluationPeriods"] - len(windows))
    return state({"StateValue": "OK", **alarm}, [window(each) for each in (*windows, *quiet)])


@pytest.mark.parametrize(
    ("name", "windows", "expected"),
    [
        ("ingestion-errors", [{"Errors": 0, "FilesFailed": 0}], "OK"),
        ("ingestion-errors", [{"Errors": 1}], "ALARM"),  # the function died, and counted nothing
        ("ingestion-errors", [{"FilesFailed": 1}], "ALARM"),
        ("ingestion-queue-age", [{"ApproximateAgeOfOldestMessage": 3601}], "ALARM"),
        ("ingestion-queue-age", [{"ApproximateAgeOfOldestMessage": 3600}], "OK"),
        ("ingestion-queue-depth", [{"ApproximateNumberOfMessagesVisible": 10_001}] * 2, "OK"),
        ("ingestion-queue-depth", [{"ApproximateNumberOfMessagesVisible": 10_001}] * 3, "ALARM"),
        ("dead-letters", [{"ApproximateNumberOfMessagesVisible": 1}], "ALARM"),
        ("dead-letters", [{"ApproximateNumberOfMessagesVisible": 0}], "OK"),
        ("refused-files", [{"FilesRejected": 2, "Files": 2}], "OK"),  # a handful
        ("refused-files", [{"FilesRejected": 3, "Files": 3}], "ALARM"),
        ("refused-files", [{"FilesRejected": 3, "Files": 30}], "OK"),
        ("refused-files", [{"FilesRejected": 4, "Files": 30}], "ALARM"),
        ("refused-records", [{"RecordsRejectedPercent": 5}], "OK"),
        ("refused-records", [{"RecordsRejectedPercent": 5.1}], "ALARM"),
        ("books-unbalanced", [{"BooksUnbalanced": 0}], "OK"),
        ("books-unbalanced", [{"BooksUnbalanced": 1}], "ALARM"),
        ("books-unbalanced", [*[QUIET] * 24, {"BooksUnbalanced": 1}], "ALARM"),  # until the daily run tries again
        ("runs-failed", [{"ExecutionsFailed": 1}], "ALARM"),
        ("runs-failed", [{"ExecutionsTimedOut": 1}], "ALARM"),
        ("runs-failed", [{"ExecutionsAborted": 1}], "ALARM"),
        ("run-too-long", [{"ExecutionTime": 6 * 3_600_000}], "OK"),
        ("run-too-long", [{"ExecutionTime": 6 * 3_600_000 + 1}], "ALARM"),
        ("no-gold", [{"HoursWithoutYesterday": 0}], "OK"),
        ("no-gold", [{"HoursWithoutYesterday": 5.99}], "OK"),
        ("no-gold", [{"HoursWithoutYesterday": 6.01}], "ALARM"),
        ("no-gold", [QUIET], "ALARM"),  # nothing tells
        ("glue-jobs-failed", [{"GlueJobsFailed": 0}], "OK"),
        ("glue-jobs-failed", [{"GlueJobsFailed": 1}], "ALARM"),
        ("throttles", [{"Throttles": 3}], "OK"),  # tried again
        ("authorizations-failed", [{"AuthorizationsFailed": 9}], "OK"),  # somebody mistypes a secret
        ("authorizations-failed", [{"AuthorizationsFailed": 51}], "ALARM"),
        ("requests-refused", [{"4XXError": 19, "Count": 19}], "OK"),
        ("requests-refused", [{"4XXError": 20, "Count": 20}], "ALARM"),
        ("requests-refused", [{"4XXError": 20, "Count": 200}], "OK"),
        ("requests-refused", [{"4XXError": 21, "Count": 200}], "ALARM"),
        ("events-errors", [{"Errors": 1}], "ALARM"),
        ("events-errors", [{"RequestsFailed": 1}], "ALARM"),
        ("events-errors", [{"5XXError": 0, "Count": 9}], "OK"),
        ("events-errors", [{"5XXError": 1, "Count": 9}], "ALARM"),
        ("events-errors", [{"5XXError": 9, "Count": 9_000}], "OK"),  # clients try again
        ("events-errors", [{"5XXError": 10, "Count": 9_000}], "ALARM"),
        ("events-queue-age", [{"ApproximateAgeOfOldestMessage": 900}], "OK"),
        ("events-queue-age", [{"ApproximateAgeOfOldestMessage": 901}], "ALARM"),
        ("events-delivery", [{"DeliveryToS3.DataFreshness": 180, "DeliveryToS3.Success": 1}] * 3, "OK"),
        ("events-delivery", [{"DeliveryToS3.DataFreshness": 1081}], "OK"),  # it may mend itself
        ("events-delivery", [{"DeliveryToS3.DataFreshness": 1081}] * 2, "ALARM"),
        ("events-delivery", [{"DeliveryToS3.Success": 0.9}] * 2, "ALARM"),
        ("events-delivery", [{"ThrottledRecords": 1}, QUIET, {"ThrottledRecords": 1}], "ALARM"),
        ("events-unconverted", [{"FailedConversion.Records": 0, "PartitionCountExceeded": 0}], "OK"),
        ("events-unconverted", [{"FailedConversion.Records": 1}], "ALARM"),
        ("events-unconverted", [{"PartitionCountExceeded": 1}], "ALARM"),
        ("events-unconverted", [{"IncomingLogEvents": 1}], "ALARM"),
        ("throttles", [{"Throttles": 3}, QUIET, {"WriteThrottleEvents": 1}], "ALARM"),
        ("query-api", [{"Errors": 1}], "ALARM"),
        ("query-api", [{"Throttles": 1}], "ALARM"),  # somebody waits for that answer
        ("query-api", [{"AnswersFailed": 2, "Answers": 2}], "OK"),  # a handful
        ("query-api", [{"AnswersFailed": 3, "Answers": 3}], "ALARM"),
        ("query-api", [{"AnswersFailed": 3, "Answers": 300}], "OK"),  # Athena is throttled now and then
        ("query-api", [{"AnswersFailed": 4, "Answers": 300}], "ALARM"),
        ("query-api", [{"AnswersFailed": 0, "Answers": 300}], "OK"),
    ],
)
def test_an_alarm_goes_off_when_it_should(prod: Synth, name: str, windows: list[Values], expected: str) -> None:
    assert goes(alarms(prod)[name], *windows) == expected


@pytest.mark.parametrize("name", sorted(set(ALARMS) - {"no-gold"}))
def test_silence_is_no_alarm(prod: Synth, name: str) -> None:
    assert goes(alarms(prod)[name]) == "OK"


def test_a_stage_without_schedules_owes_nobody_gold_by_any_hour(stages: dict[str, Synth]) -> None:
    local = stages["local"]
    assert not local.config.orchestration.schedules_enabled
    alarm = alarms(local)["no-gold"]
    assert (goes(alarm), alarm["ActionsEnabled"]) == ("OK", False)
    assert all(each["ActionsEnabled"] for name, each in alarms(local).items() if name != "no-gold")


@pytest.mark.parametrize(("sweep_minutes", "hours"), [(30, 1), (45, 1), (60, 2), (1440, 25)])
def test_there_is_news_of_yesterday_in_every_stretch_that_no_gold_looks_at(
    tmp_path: Path, sweep_minutes: int, hours: int
) -> None:
    prod = StageConfig.load("prod", read_context())
    when = dataclasses.replace(prod.orchestration, sweep_minutes=sweep_minutes)
    alarm = _monitoring(tmp_path, orchestration=when)["no-gold"]
    assert alarm["EvaluationPeriods"] == alarm["DatapointsToAlarm"] == hours
    assert hours * alarm["Period"] > sweep_minutes * 60
