"""The state machine and its schedules."""

from __future__ import annotations

import json

from aws_cdk import CfnOutput
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from atlas import ledger
from atlas.names import Names
from stacks import assets
from stacks.arns import Arns
from stacks.base import AtlasStack
from stacks.config import StageConfig
from stacks.nag import acknowledge
from stacks.roles import Statement, allow, counting, service_role

DEFINITION = assets.ROOT / "statemachine" / "daily.asl.json"
MAX_DAYS = 100
"""Days of one execution: its history is bounded by 25,000 events, and a day takes up to about 100."""
JOB_GRACE_SECONDS = 600
"""For a job to be started and stopped, beside its own timeout."""
START_RETRY_SECONDS = 3600
"""An upper bound of the waits between the attempts to start one job, or to call the function."""
FUNCTION_GRACE_SECONDS = 60
"""For the function to be called, beside its own timeout."""
FUNCTION_CALLS = 4
"""How often the function may be called for one day: calls that were lost sight of are tried again."""
WEIGH_FILES = 2500
"""Files a page of the weighing: some 50 bytes each in the answer, of which a state may hold 256 KiB."""
WEIGH_PAGES = 10
"""Pages of one weighing: each adds 7 events to the execution's history."""
SHORT_CALLS_SECONDS = 3600
"""An upper bound of a day's short calls, to the ledger and the metrics, with all their attempts and waits."""
MAX_FAILURES = 3
"""After so many failed runs since its last change, the sweep leaves a day to the daily run."""


class OrchestrationStack(AtlasStack):
    """Redeployable at any time: an execution that has begun keeps the definition it began with."""

    def __init__(self, scope: Construct, config: StageConfig) -> None:
        super().__init__(scope, "Orchestration", config=config, description="the state machine, schedules")
        log_group = self.log_group("DailyLogs", self.names.state_machine_logs)
        role = service_role(
            self,
            "StateMachineRole",
            name=self.names.state_machine_role,
            service="states.amazonaws.com",
            description="The state machine: the day function, the jobs, the crawlers, the ledger's day states",
            statements=state_machine_statements(self.arns, self.names),
        )
        machine = sfn.StateMachine(
            self,
            "Daily",
            state_machine_name=self.names.state_machine,
            definition_body=sfn.DefinitionBody.from_string(definition(config)),
            definition_substitutions={
                "ledger_table": self.names.ledger_table,
                "dirty_index": ledger.DIRTY_INDEX,
                "engine": config.engine,
                "day_function": self.names.day_function,
                "metrics_namespace": self.names.metrics_namespace,
                "normalize_job": self.names.normalize_job,
                "aggregate_job": self.names.aggregate_job,
                "silver_crawler": self.names.silver_crawler,
                "gold_crawler": self.names.gold_crawler,
                "topic_arn": self.arns.topic,
            },
            role=role,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=True),
        )
        acknowledge(
            machine,
            "SF2",
            "Every event of every execution is logged, with its times, and executions are a few dozen a day. "
            "Traces would show no more, at the price of permissions on every resource for the role.",
        )
        self._schedules(machine)
        CfnOutput(self, "StateMachineArn", value=machine.state_machine_arn)

    def _schedules(self, machine: sfn.StateMachine) -> None:
        when = self.config.orchestration
        role = service_role(
            self,
            "SchedulerRole",
            name=self.names.scheduler_role,
            service="scheduler.amazonaws.com",
            description="The schedules: start the state machine",
            statements=[allow("Start", ["states:StartExecution"], [machine.state_machine_arn])],
            # Nobody else's schedules may borrow the role.
            conditions={"StringEquals": {"aws:SourceAccount": self.account}},
        )
        hour, minute = when.daily_at_utc.split(":")
        schedules = {
            self.names.daily_schedule: (
                f"cron({int(minute)} {int(hour)} * * ? *)",
                {"scheduled_time": "<aws.scheduler.scheduled-time>"},
                "Yesterday, and every dirty day",
            ),
            self.names.sweep_schedule: (
                f"rate({when.sweep_minutes} minutes)",
                {"sweep": True},
                "Dirty days, if there are any",
            ),
        }
        for name, (expression, request, description) in schedules.items():
            scheduler.CfnSchedule(
                self,
                f"Schedule-{name}",
                name=name,
                description=description,
                state="ENABLED" if when.schedules_enabled else "DISABLED",
                schedule_expression=expression,
                schedule_expression_timezone="UTC",
                flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
                target=scheduler.CfnSchedule.TargetProperty(
                    arn=machine.state_machine_arn, role_arn=role.role_arn, input=json.dumps(request)
                ),
            )


def lock_seconds(config: StageConfig) -> int:
    """How long a day stays locked if its execution dies: longer than any living execution can take."""
    one_job = config.jobs.timeout_minutes * 60 + JOB_GRACE_SECONDS + START_RETRY_SECONDS
    function = FUNCTION_CALLS * function_seconds(config) + START_RETRY_SECONDS
    # A day that outgrows the function goes on in the jobs.
    return SHORT_CALLS_SECONDS + function + 2 * one_job


def function_seconds(config: StageConfig) -> int:
    """How long one call of the day function is waited for."""
    return config.day.timeout_seconds + FUNCTION_GRACE_SECONDS


def definition(config: StageConfig) -> str:
    """The state machine's definition with the stage's numbers.

    Numbers are put in here because a definition substitution of CloudFormation is text within a JSON string.
    """
    numbers = {
        "max_days": MAX_DAYS,
        "max_failures": MAX_FAILURES,
        "concurrent_days": config.orchestration.concurrent_days,
        "weigh_files": WEIGH_FILES,
        "weigh_pages": WEIGH_PAGES,
        "max_bytes": config.day.max_megabytes << 20,
        "function_seconds": function_seconds(config),
        "job_seconds": config.jobs.timeout_minutes * 60 + JOB_GRACE_SECONDS,
        "lock_seconds": lock_seconds(config),
        "crawl_poll_seconds": config.orchestration.crawl_poll_seconds,
        "crawl_seconds": config.orchestration.crawl_timeout_minutes * 60,
    }
    text = DEFINITION.read_text(encoding="utf-8")
    for name, number in numbers.items():
        text = text.replace(f'"${{{name}}}"', str(number)).replace(f"${{{name}}}", str(number))
    return text


def state_machine_statements(arns: Arns, names: Names) -> list[Statement]:
    """What the state machine may do."""
    return [
        allow("RunTheFunction", ["lambda:InvokeFunction"], [arns.function(names.day_function)]),
        allow(
            "RunJobs",
            ["glue:StartJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun"],
            [arns.job(names.normalize_job), arns.job(names.aggregate_job)],
        ),
        allow(
            "Crawl",
            ["glue:StartCrawler", "glue:GetCrawler"],
            [arns.crawler(names.silver_crawler), arns.crawler(names.gold_crawler)],
        ),
        allow("FindDirtyDays", ["dynamodb:Query"], [arns.dirty_index]),
        allow("WeighDaysAndLookAtYesterday", ["dynamodb:Query"], [arns.ledger_table]),
        allow("LockAndReleaseDaysAndNoteTheFirst", ["dynamodb:UpdateItem"], [arns.ledger_table]),
        counting("CountRuns", names),
        allow("Notify", ["sns:Publish"], [arns.topic]),
        allow(
            "DeliverLogs",
            [
                "logs:CreateLogDelivery",
                "logs:GetLogDelivery",
                "logs:UpdateLogDelivery",
                "logs:DeleteLogDelivery",
                "logs:ListLogDeliveries",
                "logs:PutResourcePolicy",
                "logs:DescribeResourcePolicies",
                "logs:DescribeLogGroups",
            ],
            ["*"],
            because="Log delivery is granted on everything or not at all: "
            "https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
        ),
    ]
