"""A stage as the command sees it: session, names, where things are. Alike for the local cloud and for AWS."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3

from atlas import access
from atlas.names import Names
from atlas_cli.console import CommandError
from atlas_cli.local import emulator
from atlas_cli.project import ROOT

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts.type_defs import GetCallerIdentityResponseTypeDef

LOCAL = "local"


@dataclass(frozen=True)
class Cloud:
    """One deployed stage."""

    stage: str
    session: boto3.Session

    @property
    def names(self) -> Names:
        """What the stage's things are called."""
        return Names(self.stage)

    @property
    def account(self) -> str:
        """The account's number."""
        return self._identity["Account"]

    @property
    def caller(self) -> str:
        """The ARN of whoever runs the command."""
        return self._identity["Arn"]

    @cached_property
    def _identity(self) -> GetCallerIdentityResponseTypeDef:
        return self.session.client("sts").get_caller_identity()

    @property
    def region(self) -> str:
        """The region's name."""
        return self.session.region_name

    @property
    def bucket(self) -> str:
        """The lake."""
        return self.names.bucket(self.account, self.region)

    @property
    def state_machine(self) -> str:
        """The ARN of the daily state machine."""
        return f"arn:aws:states:{self.region}:{self.account}:stateMachine:{self.names.state_machine}"

    @cached_property
    def s3(self) -> S3Client:
        """S3."""
        return self.session.client("s3")

    @cached_property
    def sqs(self) -> SQSClient:
        """SQS."""
        return self.session.client("sqs")

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        """CloudWatch."""
        return self.session.client("cloudwatch")

    @cached_property
    def stepfunctions(self) -> SFNClient:
        """Step Functions."""
        return self.session.client("stepfunctions")

    @cached_property
    def ledger(self) -> Any:
        """The ledger, as a boto3 Table."""
        return self.session.resource("dynamodb").Table(self.names.ledger_table)

    @cached_property
    def events_url(self) -> str:
        """The events API, without a slash at the end. Raises CommandError if the stage has none."""
        return self._api_url("Events", "EventsApiUrl")

    @cached_property
    def queries_url(self) -> str:
        """The query API and its page, without a slash at the end. Raises CommandError if the stage has none."""
        return self._api_url("Queries", "QueryApiUrl")

    def api_url(self, api: str) -> str:
        """That of one of access.APIS. Raises CommandError."""
        return self.queries_url if api == access.QUERIES_API else self.events_url

    def _api_url(self, part: str, output: str) -> str:
        stack = f"Atlas-{self.stage.capitalize()}-{part}"
        client = self.session.client("cloudformation")
        try:
            [found] = client.describe_stacks(StackName=stack)["Stacks"]
        except client.exceptions.ClientError as fault:
            raise CommandError(
                f"stage {self.stage} has no {part.lower()} API, no stack {stack}: {fault}"
            ) from fault
        outputs = {told["OutputKey"]: told["OutputValue"] for told in found["Outputs"]}
        url = outputs[output].rstrip("/")
        if self.stage != LOCAL:
            return url
        host, _, path = url.removeprefix("https://").partition("/")
        # The names of the local cloud's APIs are in no DNS; it knows them by their paths as well.
        return f"{client.meta.endpoint_url}/_aws/execute-api/{host.partition('.')[0]}/{path}".rstrip("/")

    def queue_url(self, queue: str) -> str:
        """Where a queue's messages go to and come from."""
        return self.sqs.get_queue_url(QueueName=queue)["QueueUrl"]

    def depth(self, queue: str) -> int:
        """How many messages a queue holds, those in flight included."""
        url = self.queue_url(queue)
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)


def connect(stage: str) -> Cloud:
    """The stage, ready to talk to. Raises CommandError if that cannot be."""
    if stage == LOCAL:
        running = emulator.running(ROOT)
        if running is None:
            raise CommandError("the local cloud is not up. Start it: atlas up")
        return Cloud(stage, running.session())
    session = boto3.Session(region_name=os.environ.get("AWS_REGION"))  # which boto3 itself does not read
    if session.region_name is None:
        raise CommandError(f"no region for stage {stage}: set AWS_REGION, or choose a profile that has one")
    return Cloud(stage, session)
