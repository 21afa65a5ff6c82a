"""The ARN of each named thing, from atlas/names.py.

Stacks refer to each other's resources by name, not by CloudFormation exports: an export that is in use cannot
change, which would tie the stacks that can be redeployed to the one that holds data.
"""

from __future__ import annotations

from datetime import date

from aws_cdk import ArnFormat, Stack

from atlas import lake, ledger
from atlas.names import Names
from stacks.config import StageConfig


def parents(*prefixes: str) -> list[str]:
    """The prefixes above each prefix: `rejected/` of `rejected/data_quality/`."""
    folders = [prefix.rstrip("/").split("/")[:-1] for prefix in prefixes]
    return sorted({"/".join(above[: depth + 1]) + "/" for above in folders for depth in range(len(above))})


class Arns:
    """ARNs in the account, region and partition of one stack."""

    def __init__(self, stack: Stack, config: StageConfig) -> None:
        self._stack = stack
        self._database = config.database
        self._names = Names(config.stage)

    def _arn(self, service: str, resource: str, name: str, separator: str = "/") -> str:
        style = ArnFormat.SLASH_RESOURCE_NAME if separator == "/" else ArnFormat.COLON_RESOURCE_NAME
        return self._stack.format_arn(service=service, resource=resource, resource_name=name, arn_format=style)

    def _single(self, service: str, name: str) -> str:
        """Of a service whose things have no kind in their ARNs, or just one."""
        return self._stack.format_arn(service=service, resource=name, arn_format=ArnFormat.NO_RESOURCE_NAME)

    @property
    def bucket_name(self) -> str:
        """The lake's bucket: names of buckets are global, hence account and region."""
        return self._names.bucket(self._stack.account, self._stack.region)

    @property
    def access_logs_bucket_name(self) -> str:
        """Where S3 tells who called the lake's bucket."""
        return self._names.access_logs_bucket(self._stack.account, self._stack.region)

    @property
    def bucket(self) -> str:
        """The lake's bucket itself."""
        return f"arn:{self._stack.partition}:s3:::{self.bucket_name}"

    def objects(self, *prefixes: str) -> list[str]:
        """All objects under each prefix of the lake."""
        return [f"{self.bucket}/{prefix}*" for prefix in prefixes]

    def folders(self, *prefixes: str) -> list[str]:
        """The names of each prefix and of those above it, without the slash, as if they were objects."""
        names = sorted({prefix.rstrip("/") for prefix in (*prefixes, *parents(*prefixes))})
        return [f"{self.bucket}/{name}" for name in names]

    @property
    def failed_attempts(self) -> str:
        """The object of each day that tells of an attempt whose books did not balance."""
        of_a_day = lake.failed_attempt_key(date.min)
        return f"{self.bucket}/{of_a_day.replace(date.min.isoformat(), '*')}"

    @property
    def ledger_table(self) -> str:
        """The ledger, without its index."""
        return self._arn("dynamodb", "table", self._names.ledger_table)

    @property
    def dirty_index(self) -> str:
        """The ledger's index of dirty days."""
        return f"{self.ledger_table}/index/{ledger.DIRTY_INDEX}"

    @property
    def ingest_queue(self) -> str:
        """The queue of what ingestion has to do."""
        return self._single("sqs", self._names.ingest_queue)

    @property
    def ingest_dead_letter_queue(self) -> str:
        """The queue of what ingestion has given up."""
        return self._single("sqs", self._names.ingest_dead_letter_queue)

    @property
    def events_queue(self) -> str:
        """The queue of accepted requests."""
        return self._single("sqs", self._names.events_queue)

    @property
    def delivery_stream(self) -> str:
        """The delivery stream of events."""
        return self._arn("firehose", "deliverystream", self._names.delivery_stream)

    @property
    def signing_key(self) -> str:
        """The secret that tokens are signed with: Secrets Manager ends its ARN with six characters of its own.

        https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_iam-policies.html
        """
        return self._arn("secretsmanager", "secret", f"{self._names.signing_key}-??????", ":")

    @property
    def client_secrets(self) -> str:
        """The secrets of all clients of the APIs."""
        return self._arn("secretsmanager", "secret", f"{self._names.client_secrets}*", ":")

    @property
    def topic(self) -> str:
        """The topic of notifications."""
        return self._single("sns", self._names.topic)

    @property
    def catalog(self) -> str:
        """The account's Glue catalog, which every call on a database or table names too."""
        return self._single("glue", "catalog")

    @property
    def database(self) -> str:
        """The stage's database."""
        return self._arn("glue", "database", self._database)

    def table(self, name: str) -> str:
        """A table of the stage's database."""
        return self._arn("glue", "table", f"{self._database}/{name}")

    def workgroup(self, name: str) -> str:
        """A workgroup of Athena."""
        return self._arn("athena", "workgroup", name)

    def job(self, name: str) -> str:
        """A Glue job."""
        return self._arn("glue", "job", name)

    def function(self, name: str) -> str:
        """A Lambda function."""
        return self._arn("lambda", "function", name, ":")

    @property
    def state_machine(self) -> str:
        """The state machine."""
        return self._arn("states", "stateMachine", self._names.state_machine, ":")

    def crawler(self, name: str) -> str:
        """A Glue crawler."""
        return self._arn("glue", "crawler", name)

    def log_group(self, name: str) -> str:
        """A log group itself."""
        return self._arn("logs", "log-group", name, ":")

    @property
    def alarms(self) -> str:
        """All alarms of the stage."""
        return self._arn("cloudwatch", "alarm", self._names.alarm("*"), ":")

    @property
    def budgets(self) -> str:
        """All budgets of the account, which belong to no region."""
        return f"arn:{self._stack.partition}:budgets::{self._stack.account}:*"

    def log_streams(self, log_group: str) -> str:
        """All streams of a log group."""
        return self._arn("logs", "log-group", f"{log_group}:*", ":")
