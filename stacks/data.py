"""What holds data: the lake's bucket, the ledger, the catalog, the topic, the place of query results."""

from __future__ import annotations

from aws_cdk import CfnOutput, Duration, RemovalPolicy
from aws_cdk import aws_athena as athena
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from atlas import lake, ledger
from stacks.base import AtlasStack
from stacks.catalog import Catalog
from stacks.config import RetentionConfig, StageConfig

_STAGING_DAYS = 7
"""Longer than a day's runs can fail without anybody hearing of it."""


class DataStack(AtlasStack):
    """Outlives every redeployment of the others; kept when the stack is deleted if the stage says so."""

    def __init__(self, scope: Construct, config: StageConfig) -> None:
        super().__init__(scope, "Data", config=config, description="what holds data")
        self._removal = RemovalPolicy.RETAIN if config.removal == "retain" else RemovalPolicy.DESTROY
        self._bucket()
        self._ledger()
        self._topic()
        self._workgroup()
        Catalog(self, "Catalog", database=config.database, account=self.account, arns=self.arns)
        CfnOutput(self, "BucketName", value=self.arns.bucket_name)
        CfnOutput(self, "LedgerTable", value=self.names.ledger_table)
        CfnOutput(self, "TopicArn", value=self.arns.topic)
        CfnOutput(self, "Database", value=config.database)
        CfnOutput(self, "Workgroup", value=self.names.workgroup)

    def _bucket(self) -> None:
        bucket = s3.Bucket(
            self,
            "Lake",
            bucket_name=self.arns.bucket_name,
            versioned=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            encryption=s3.BucketEncryption.S3_MANAGED,
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
            removal_policy=self._removal,
        )
        # Sparse: only days that are dirty have the attribute, so the index is as long as the work to do.
        table.add_global_secondary_index(
            index_name=ledger.DIRTY_INDEX, partition_key=_text(ledger.DIRTY), sort_key=_text(ledger.DAY)
        )

    def _topic(self) -> None:
        topic = sns.Topic(self, "Notifications", topic_name=self.names.topic, enforce_ssl=True)
        for address in self.config.notification_emails:
            topic.add_subscription(subscriptions.EmailSubscription(address))

    def _workgroup(self) -> None:
        athena.CfnWorkGroup(
            self,
            "Queries",
            name=self.names.workgroup,
            description="Queries on Atlas's tables; results under " + lake.QUERY_RESULTS,
            recursive_delete_option=self._removal is RemovalPolicy.DESTROY,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{self.arns.bucket_name}/{lake.QUERY_RESULTS}",
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_S3"
                    ),
                ),
            ),
        )


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


def _lifecycle(keep: RetentionConfig) -> list[s3.LifecycleRule]:
    """Raw, silver, gold and the archive never expire by themselves; the rest as the stage says.

    A validated object that is gone is written anew from the archive when its day needs it, which must be readable
    at once for that.
    """

    def expiring(rule: str, prefix: str, days: int) -> s3.LifecycleRule:
        return s3.LifecycleRule(id=rule, prefix=prefix, expiration=Duration.days(days))

    def going_cold(rule: str, prefix: str, days: int) -> s3.LifecycleRule:
        # Instant Retrieval: the colder classes have to be asked for hours ahead.
        cold = s3.Transition(
            storage_class=s3.StorageClass.GLACIER_INSTANT_RETRIEVAL, transition_after=Duration.days(days)
        )
        return s3.LifecycleRule(id=rule, prefix=prefix, transitions=[cold])

    return [
        expiring("validated-expires", lake.VALIDATED, keep.validated_days),
        going_cold("archive-goes-cold", lake.ARCHIVE, keep.archive_to_glacier_days),
        expiring("manifests-expire", lake.MANIFESTS, keep.manifests_days),
        # What a killed run had begun to publish from there, the day's next run goes on with.
        expiring("staging-expires", lake.STAGING, _STAGING_DAYS),
        expiring("rejected-expires", lake.REJECTED, keep.rejected_days),
        expiring("query-results-expire", lake.QUERY_RESULTS, keep.query_results_days),
        s3.LifecycleRule(
            id="old-versions-and-loose-ends-go",
            noncurrent_version_expiration=Duration.days(keep.noncurrent_versions_days),
            expired_object_delete_marker=True,
            abort_incomplete_multipart_upload_after=Duration.days(7),
        ),
    ]
