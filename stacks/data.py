"""What holds data: the lake's bucket and its access logs, the ledger, the catalog, the topic, the key."""

from __future__ import annotations

from aws_cdk import CfnOutput, CfnResource, Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from atlas import lake, ledger, run_report
from stacks.base import AtlasStack
from stacks.catalog import Catalog
from stacks.config import DERIVED_VERSIONS_DAYS, RetentionConfig, StageConfig
from stacks.key import stage_key
from stacks.workgroup import workgroup

_ACCESS_LOGS = "lake/"
"""What the names of the lake's access logs begin with."""
_ALARMING = {run_report.REPORT: sns.SubscriptionFilter.not_exists_filter()}
"""People get alarms and the notices of executions that failed; the report of each run is for programs."""
_STAGING_DAYS = 7
"""Longer than a day's runs can fail without anybody hearing of it."""


class DataStack(AtlasStack):
    """Outlives every redeployment of the others; kept when the stack is deleted if the stage says so."""

    def __init__(self, scope: Construct, config: StageConfig) -> None:
        super().__init__(scope, "Data", config=config, description="what holds data")
        self._removal = RemovalPolicy.RETAIN if config.removal == "retain" else RemovalPolicy.DESTROY
        self._key = stage_key(self, self._removal) if config.encryption == "customer" else None
        self.key_arn = self._key.key_arn if self._key else None
        self._bucket(self._access_logs())
        self._emptying_logs()
        self._ledger()
        self._topic()
        workgroup(
            self,
            "Queries",
            name=self.names.workgroup,
            description="Queries on Atlas's tables",
            results=lake.QUERY_RESULTS,
            scan_cutoff_gb=config.queries.scan_cutoff_gb,
        )
        Catalog(self, "Catalog", database=config.database, account=self.account, arns=self.arns)
        CfnOutput(self, "BucketName", value=self.arns.bucket_name)
        CfnOutput(self, "LedgerTable", value=self.names.ledger_table)
        CfnOutput(self, "TopicArn", value=self.arns.topic)
        CfnOutput(self, "Database", value=config.database)
        CfnOutput(self, "Workgroup", value=self.names.workgroup)

    def _access_logs(self) -> s3.Bucket:
        """Where S3 writes who called the lake's bucket. It can do so with its own encryption only."""
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            bucket_name=self.arns.access_logs_bucket_name,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="access-logs-expire", expiration=Duration.days(self.config.retention.access_logs_days)
                )
            ],
            removal_policy=self._removal,
            auto_delete_objects=self._removal is RemovalPolicy.DESTROY,
        )
        # A bucket whose owner owns all takes them by its policy, not by an access control list as the CDK would:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="TakeAccessLogs",
                principals=[iam.ServicePrincipal("logging.s3.amazonaws.com")],
                actions=["s3:PutObject"],
                resources=[bucket.arn_for_objects(_ACCESS_LOGS + "*")],
                conditions={
                    "ArnEquals": {"aws:SourceArn": self.arns.bucket},
                    "StringEquals": {"aws:SourceAccount": self.account},
                },
            )
        )
        self._keep_the_policy(bucket)
        return bucket

    def _emptying_logs(self) -> None:
        """Left to itself, the CDK's function that empties buckets would log to a group that is kept for ever."""
        provider = self.node.try_find_child("Custom::S3AutoDeleteObjectsCustomResourceProvider")
        if provider:
            function = provider.node.find_child("Handler")
            assert isinstance(function, CfnResource)  # noqa: S101 - for the type checker
            group = self.log_group("EmptyingLogs", self.names.emptying_logs)
            plain = group.node.default_child
            assert isinstance(plain, logs.CfnLogGroup)  # noqa: S101 - for the type checker
            plain.kms_key_id = None  # it names buckets; the key is for data
            function.add_property_override("LoggingConfig.LogGroup", group.log_group_name)

    def _keep_the_policy(self, bucket: s3.Bucket) -> None:
        """A bucket that outlives the stack does so with the rules that hold for it."""
        if bucket.policy:
            bucket.policy.apply_removal_policy(self._removal)

    def _bucket(self, access_logs: s3.Bucket) -> None:
        bucket = s3.Bucket(
            self,
            "Lake",
            bucket_name=self.arns.bucket_name,
            versioned=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            encryption=s3.BucketEncryption.KMS if self._key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=self._key,
            bucket_key_enabled=self._key is not None,  # one call of the key for many objects
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=_lifecycle(self.config.retention),
            removal_policy=self._removal,
            auto_delete_objects=self._removal is RemovalPolicy.DESTROY,
        )
        # Set on the resource itself: `event_bridge_enabled` brings a function that may write any bucket's
        # notifications, for something that CloudFormation can do.
        plain = bucket.node.default_child
        assert isinstance(plain, s3.CfnBucket)  # noqa: S101 - for the type checker
        plain.add_property_override("NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True)
        plain.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
            destination_bucket_name=access_logs.bucket_name, log_file_prefix=_ACCESS_LOGS
        )
        for statement in self._no_other_key(bucket):
            bucket.add_to_resource_policy(statement)
        self._keep_the_policy(bucket)

    def _no_other_key(self, bucket: s3.Bucket) -> list[iam.PolicyStatement]:
        """Nobody writes with another key than the stage's own, if it has one; whoever names none gets that."""
        if self._key is None:
            return []
        header = "s3:x-amz-server-side-encryption"
        refused = {
            "NoOtherEncryption": (header, "aws:kms"),
            "NoOtherKey": (f"{header}-aws-kms-key-id", self._key.key_arn),
        }
        return [
            iam.PolicyStatement(
                sid=sid,
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:PutObject"],
                resources=[bucket.arn_for_objects("*")],
                conditions={"Null": {name: "false"}, "StringNotEquals": {name: value}},
            )
            for sid, (name, value) in refused.items()
        ]

    def _ledger(self) -> None:
        table = dynamodb.Table(
            self,
            "Ledger",
            table_name=self.names.ledger_table,
            partition_key=_text(ledger.PK),
            sort_key=_text(ledger.SK),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if self._key else None,
            encryption_key=self._key,
            deletion_protection=self._removal is RemovalPolicy.RETAIN,
            removal_policy=self._removal,
        )
        # Sparse: only days that are dirty have the attribute, so the index is as long as the work to do.
        table.add_global_secondary_index(
            index_name=ledger.DIRTY_INDEX, partition_key=_text(ledger.DIRTY), sort_key=_text(ledger.DAY)
        )

    def _topic(self) -> None:
        topic = sns.Topic(
            self, "Notifications", topic_name=self.names.topic, enforce_ssl=True, master_key=self._key
        )
        # A topic's own policy takes the place of AWS's, which lets the account's services publish.
        for sid, service, source in (
            ("Alarms", "cloudwatch.amazonaws.com", self.arns.alarms),
            ("Budget", "budgets.amazonaws.com", self.arns.budgets),
        ):
            topic.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=sid,
                    principals=[iam.ServicePrincipal(service)],
                    actions=["sns:Publish"],
                    resources=[topic.topic_arn],
                    conditions={
                        "StringEquals": {"aws:SourceAccount": self.account},
                        "ArnLike": {"aws:SourceArn": source},
                    },
                )
            )
        for address in self.config.notification_emails:
            topic.add_subscription(subscriptions.EmailSubscription(address, filter_policy=_ALARMING))


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


def _lifecycle(keep: RetentionConfig) -> list[s3.LifecycleRule]:
    """Raw, silver, gold and the archive never expire by themselves; the rest as the stage says.

    A validated object that is gone is written anew from the archive when its day needs it, which must be readable
    at once for that.
    """
    derived = Duration.days(DERIVED_VERSIONS_DAYS)

    def expiring(rule: str, prefix: str, days: int) -> s3.LifecycleRule:
        return s3.LifecycleRule(id=rule, prefix=prefix, expiration=Duration.days(days))

    def going_cold(rule: str, prefix: str, days: int) -> s3.LifecycleRule:
        # Instant Retrieval: the colder classes have to be asked for hours ahead.
        cold = s3.Transition(
            storage_class=s3.StorageClass.GLACIER_INSTANT_RETRIEVAL, transition_after=Duration.days(days)
        )
        return s3.LifecycleRule(id=rule, prefix=prefix, transitions=[cold])

    return [
        s3.LifecycleRule(
            id="validated-expires",
            prefix=lake.VALIDATED,
            expiration=Duration.days(keep.validated_days),
            noncurrent_version_expiration=derived,
        ),
        going_cold("archive-goes-cold", lake.ARCHIVE, keep.archive_to_glacier_days),
        expiring("manifests-expire", lake.MANIFESTS, keep.manifests_days),
        # What a killed run had begun to publish from there, the day's next run goes on with.
        expiring("staging-expires", lake.STAGING, _STAGING_DAYS),
        expiring("rejected-expires", lake.REJECTED, keep.rejected_days),
        expiring("query-results-expire", lake.QUERY_RESULTS, keep.query_results_days),
        expiring("answers-expire", lake.API_RESULTS, keep.query_results_days),
        # Of two rules that both say when, the sooner one holds:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-conflicts.html
        s3.LifecycleRule(id="replaced-silver-goes", prefix=lake.PROCESSED, noncurrent_version_expiration=derived),
        s3.LifecycleRule(
            id="old-versions-and-loose-ends-go",
            noncurrent_version_expiration=Duration.days(keep.noncurrent_versions_days),
            expired_object_delete_marker=True,
            abort_incomplete_multipart_upload_after=Duration.days(7),
        ),
    ]
