"""A stage that is removed leaves nothing of it behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from atlas import lake
from atlas.names import Names
from atlas_cli import cdk
from atlas_cli.cloud import Cloud
from atlas_cli.local.emulator import Emulator
from tests.infra.conftest import synthesize

STAGE = "dev"
NAMES = Names(STAGE)

pytestmark = pytest.mark.timeout(400)

LISTS: dict[str, tuple[str, str, str]] = {
    "stacks": ("cloudformation", "describe_stacks", "Stacks[].StackName"),
    "buckets": ("s3", "list_buckets", "Buckets[].Name"),
    "tables": ("dynamodb", "list_tables", "TableNames[]"),
    "topics": ("sns", "list_topics", "Topics[].TopicArn"),
    "queues": ("sqs", "list_queues", "QueueUrls[]"),
    "functions": ("lambda", "list_functions", "Functions[].FunctionName"),
    "layers": ("lambda", "list_layers", "Layers[].LayerName"),
    "event sources": ("lambda", "list_event_source_mappings", "EventSourceMappings[].UUID"),
    "log groups": ("logs", "describe_log_groups", "logGroups[].logGroupName"),
    "roles": ("iam", "list_roles", "Roles[].RoleName"),
    "rules": ("events", "list_rules", "Rules[].Name"),
    "state machines": ("stepfunctions", "list_state_machines", "stateMachines[].name"),
    "schedules": ("scheduler", "list_schedules", "Schedules[].Name"),
    "databases": ("glue", "get_databases", "DatabaseList[].Name"),
    "crawlers": ("glue", "get_crawlers", "Crawlers[].Name"),
    "jobs": ("glue", "get_jobs", "Jobs[].Name"),
    "workgroups": ("athena", "list_work_groups", "WorkGroups[].Name"),
    "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms[].AlarmName"),
    "dashboards": ("cloudwatch", "list_dashboards", "DashboardEntries[].DashboardName"),
    "parameters": ("ssm", "describe_parameters", "Parameters[].Name"),
    "aliases of keys": ("kms", "list_aliases", "Aliases[].AliasName"),
}
"""All kinds of things that our stacks make, each as service, call, and where in the answer the names are."""


Clients = dict[str, Any]


def _there(clients: Clients) -> dict[str, set[str]]:
    """What the account has, by kind."""
    return {kind: set(_named(clients[service], call, path)) for kind, (service, call, path) in LISTS.items()}


def _named(client: Any, call: str, path: str) -> Iterator[str]:
    pages = client.get_paginator(call).paginate() if client.can_paginate(call) else [getattr(client, call)()]
    of, _, name = path.partition("[].")
    for page in pages:
        for entry in page.get(of.removesuffix("[]"), []):
            yield entry[name] if name else entry


@pytest.fixture(scope="module")
def run_cdk(running: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """Runs the CDK on the stacks of the stage, synthesized once."""
    folder = tmp_path_factory.mktemp(STAGE)
    synthesize(STAGE, folder)
    environment = {**cdk.environment(running.environment(os.environ)), "CI": "true", "NO_COLOR": "1"}

    def run(verb: str, *options: str) -> None:
        command = cdk.command(verb, "--all", "--app", str(folder), *options)
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def test_a_stage_that_was_deployed_and_filled_and_removed_leaves_nothing_behind(
    cloud: Cloud, run_cdk: Callable[..., None]
) -> None:
    clients: Clients = {service: cloud.session.client(service) for service, _, _ in LISTS.values()}  # type: ignore[call-overload]
    before = _there(clients)
    run_cdk("deploy", "--require-approval", "never", "--concurrency", "4", "--method", "direct")
    deployed = _there(clients)
    kinds = {kind for kind in LISTS if deployed[kind] - before[kind]}
    assert kinds >= LISTS.keys() - {"parameters", "aliases of keys"}  # which come with a key of one's own
    _fill(Cloud(STAGE, cloud.session))

    run_cdk("destroy", "--force")

    after = _there(clients)
    assert {kind: after[kind] - before[kind] for kind in LISTS} == {kind: set() for kind in LISTS}


def _fill(cloud: Cloud) -> None:
    """What a stage has in it when somebody removes it: objects in versions, deleted ones, entries, messages."""
    for body in (b"one", b"another"):
        cloud.s3.put_object(Bucket=cloud.bucket, Key=lake.ARCHIVE + "a", Body=body)
    cloud.s3.put_object(Bucket=cloud.bucket, Key=lake.PROCESSED + "b", Body=b"")
    cloud.s3.delete_object(Bucket=cloud.bucket, Key=lake.PROCESSED + "b")
    cloud.ledger.put_item(Item={"pk": "FILE#raw/a", "sk": "META"})
    cloud.sqs.send_message(QueueUrl=cloud.queue_url(NAMES.ingest_dead_letter_queue), MessageBody="a")
