"""The metrics that alarms and the dashboard look at, ours and those of AWS, as the CDK has them."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from atlas import ledger
from atlas.metrics import Metric
from atlas.names import Names
from stacks.base import AtlasStack
from stacks.events_gateway import STAGE

FIVE_MINUTES = Duration.minutes(5)
AN_HOUR = Duration.hours(1)
A_DAY = Duration.days(1)


def event_functions(names: Names) -> tuple[str, ...]:
    """The functions of the events API."""
    return (names.token_function, names.authorizer_function, names.forwarder_function, names.rotation_function)


def query_functions(names: Names) -> tuple[str, ...]:
    """The functions of the query API."""
    return (names.query_function, names.query_authorizer_function)


class Measures:
    """The metrics of one stage, each as the sum of a period unless said otherwise."""

    def __init__(self, stack: AtlasStack) -> None:
        self._names = stack.names
        self._arns = stack.arns

    def ours(self, metric: Metric, period: Duration, statistic: str = "Sum") -> cloudwatch.Metric:
        """One of atlas/metrics.py."""
        return _metric(self._names.metrics_namespace, metric.name, metric.dimensions, period, statistic)

    def function(self, name: str, metric: str, period: Duration, statistic: str = "Sum") -> cloudwatch.Metric:
        """Of a Lambda function."""
        return _metric("AWS/Lambda", metric, {"FunctionName": name}, period, statistic)

    def queue(self, name: str, metric: str, period: Duration) -> cloudwatch.Metric:
        """Of a queue, at its worst. A queue without a message for six hours tells nothing."""
        return _metric("AWS/SQS", metric, {"QueueName": name}, period, "Maximum")

    def requests(self, metric: str, period: Duration, statistic: str = "Sum") -> cloudwatch.Metric:
        """Of the requests to the events API."""
        of_api = {"ApiName": self._names.events_api, "Stage": STAGE}
        return _metric("AWS/ApiGateway", metric, of_api, period, statistic)

    def request_count(self, period: Duration) -> cloudwatch.Metric:
        """How many requests there were: of this metric AWS counts the samples."""
        return self.requests("Count", period, "SampleCount")

    def delivery(self, metric: str, period: Duration, statistic: str = "Sum") -> cloudwatch.Metric:
        """Of the delivery stream."""
        stream = {"DeliveryStreamName": self._names.delivery_stream}
        return _metric("AWS/Firehose", metric, stream, period, statistic)

    def logged(self, group: str, period: Duration) -> cloudwatch.Metric:
        """How many lines came into a log group."""
        return _metric("AWS/Logs", "IncomingLogEvents", {"LogGroupName": group}, period, "Sum")

    def executions(self, metric: str, period: Duration, statistic: str = "Sum") -> cloudwatch.Metric:
        """Of the state machine."""
        return _metric("AWS/States", metric, {"StateMachineArn": self._arns.state_machine}, period, statistic)

    def ledger(self, metric: str, period: Duration) -> tuple[cloudwatch.Metric, cloudwatch.Metric]:
        """Of the ledger, and of its index: the table's own metric leaves the index out."""
        table = {"TableName": self._names.ledger_table}
        index = {**table, "GlobalSecondaryIndexName": ledger.DIRTY_INDEX}
        return (
            _metric("AWS/DynamoDB", metric, table, period, "Sum"),
            _metric("AWS/DynamoDB", metric, index, period, "Sum"),
        )

    def stored(self, storage: str) -> cloudwatch.Metric:
        """The lake's bytes in a class of storage: S3 tells them once a day."""
        bucket = {"BucketName": self._arns.bucket_name, "StorageType": storage}
        return _metric("AWS/S3", "BucketSizeBytes", bucket, A_DAY, "Average")

    def scanned(self, workgroup: str, period: Duration) -> str:
        """An expression: the bytes that a workgroup's queries have read, of whatever kind, and however they ended.

        Athena tells each kind and end apart by dimensions, which a search need not name.
        """
        schema = "{AWS/Athena,QueryState,QueryType,WorkGroup}"
        found = f'{schema} WorkGroup="{workgroup}" MetricName="ProcessedBytes"'
        return f"SUM(SEARCH('{found}', 'Sum', {period.to_seconds()}))"


def _metric(
    namespace: str, name: str, dimensions: dict[str, str], period: Duration, statistic: str
) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=namespace, metric_name=name, dimensions_map=dimensions, period=period, statistic=statistic
    )
