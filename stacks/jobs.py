"""What processes a day, the function or the two Glue jobs, and the two crawlers."""

from __future__ import annotations

import json

from aws_cdk import CfnOutput
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from atlas import lake, schema
from atlas.names import Names
from stacks import assets
from stacks.arns import Arns, parents
from stacks.base import AtlasStack
from stacks.config import StageConfig
from stacks.day_function import day_function
from stacks.nag import acknowledge
from stacks.roles import Statement, allow, allow_logging, allow_objects, counting, listing, service_role

_GLUE = "glue.amazonaws.com"
_GLUE_VERSION = "5.1"
_SILVER = (schema.LOGS, schema.REJECTED_RECORDS)
_CRAWLER_LOGS = "/aws-glue/crawlers"
"""AWS's own name, which cannot be chosen."""


class JobsStack(AtlasStack):
    """Redeployable at any time: a run that has begun keeps the code it began with."""

    def __init__(self, scope: Construct, config: StageConfig) -> None:
        super().__init__(scope, "Jobs", config=config, description="day function, Glue jobs, crawlers")
        self._library = s3_assets.Asset(self, "Library", path=str(assets.ROOT), **assets.only("atlas", "glue_jobs"))
        scripts = {
            self.names.normalize_job: self._script("NormalizeScript", "normalize_job.py"),
            self.names.aggregate_job: self._script("AggregateScript", "aggregate_job.py"),
        }
        # Glue names them <prefix>/error and <prefix>/output; declared here, they have a retention.
        self.log_group("JobErrors", self.names.job_error_logs)
        self.log_group("JobOutput", self.names.job_output_logs)
        role = service_role(
            self,
            "JobRole",
            name=self.names.glue_role,
            service=_GLUE,
            description="The Glue jobs: validated into silver and gold",
            statements=job_statements(self.arns, self.names, [self._library, *scripts.values()]),
        )
        self._job(self.names.normalize_job, scripts, role, "A day of validated records into silver")
        self._job(self.names.aggregate_job, scripts, role, "A day of silver into gold, if its books balance")
        self._crawlers()
        day_function(self)
        CfnOutput(self, "JobLogGroup", value=self.names.job_error_logs)
        CfnOutput(self, "DayFunction", value=self.names.day_function)

    def _script(self, construct_id: str, name: str) -> s3_assets.Asset:
        return s3_assets.Asset(self, construct_id, path=str(assets.ROOT / "glue_jobs" / name))

    def _job(self, name: str, scripts: dict[str, s3_assets.Asset], role: iam.IRole, description: str) -> None:
        sizes = self.config.jobs
        job = glue.CfnJob(
            self,
            name.removesuffix(f"-{self.config.stage}"),
            name=name,
            description=description,
            role=role.role_arn,
            glue_version=_GLUE_VERSION,
            worker_type=sizes.worker_type,
            number_of_workers=sizes.max_workers,
            timeout=sizes.timeout_minutes,
            max_retries=0,  # the state machine decides what is worth another try
            execution_property=glue.CfnJob.ExecutionPropertyProperty(
                max_concurrent_runs=self.config.orchestration.concurrent_days
            ),
            command=glue.CfnJob.JobCommandProperty(
                name="glueetl", python_version="3", script_location=scripts[name].s3_object_url
            ),
            default_arguments={
                # The part of JobSettings that is the same for every run.
                "--bucket": self.arns.bucket_name,
                "--ledger_table": self.names.ledger_table,
                "--topic_arn": self.arns.topic,
                "--ingest_queue": self.names.ingest_queue,
                "--metrics_namespace": self.names.metrics_namespace,
                "--extra-py-files": self._library.s3_object_url,
                "--enable-auto-scaling": "true",
                "--custom-logGroup-prefix": self.names.job_logs,
            },
        )
        acknowledge(
            job,
            "GL1",
            "The job logs to groups that this stack declares, with a retention, and with the stage's key if it has "
            "one. A security configuration would have Glue make others, under names of its own and without an end.",
        )
        acknowledge(job, "GL3", "The jobs keep no bookmarks: what a run reads, the ledger says.")

    def _crawlers(self) -> None:
        role = service_role(
            self,
            "CrawlerRole",
            name=self.names.crawler_role,
            service=_GLUE,
            description="The crawlers: new partitions of existing tables into the catalog",
            statements=crawler_statements(self.arns),
        )
        self._crawler("SilverCrawler", self.names.silver_crawler, role, _SILVER)
        self._crawler("GoldCrawler", self.names.gold_crawler, role, schema.GOLD_TABLES)

    def _crawler(self, construct_id: str, name: str, role: iam.IRole, tables: tuple[schema.Table, ...]) -> None:
        crawler = glue.CfnCrawler(
            self,
            construct_id,
            name=name,
            description="Adds the new partitions of " + ", ".join(table.name for table in tables),
            role=role.role_arn,
            targets=glue.CfnCrawler.TargetsProperty(
                catalog_targets=[
                    glue.CfnCrawler.CatalogTargetProperty(
                        database_name=self.config.database, tables=[table.name for table in tables]
                    )
                ]
            ),
            # Neither changes nor removes what the stack declares; new partitions are added all the same.
            schema_change_policy=glue.CfnCrawler.SchemaChangePolicyProperty(
                update_behavior="LOG", delete_behavior="LOG"
            ),
            # Incremental crawls are for S3 targets only.
            recrawl_policy=glue.CfnCrawler.RecrawlPolicyProperty(recrawl_behavior="CRAWL_EVERYTHING"),
            configuration=json.dumps(
                {
                    "Version": 1.0,
                    "CrawlerOutput": {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}},
                    "Grouping": {"TableGroupingPolicy": "CombineCompatibleSchemas"},
                }
            ),
        )
        acknowledge(
            crawler,
            "GL1",
            "Crawlers log names of tables and partitions and how many they added, nothing of a record, to a group "
            "of AWS's that all crawlers of the account share, encrypted by CloudWatch Logs with a key of AWS's. "
            "docs/security.md says how an account gives that group a key and a retention.",
        )


def job_statements(arns: Arns, names: Names, code: list[s3_assets.Asset]) -> list[Statement]:
    """What both jobs may do."""
    written = (lake.PROCESSED, lake.ANALYTICS, lake.REJECTED_RECORDS)
    return [
        allow("ReadCode", ["s3:GetObject"], [f"{asset.bucket.bucket_arn}/{asset.s3_object_key}" for asset in code]),
        allow_objects("ReadValidated", ["s3:GetObject"], arns.objects(lake.VALIDATED)),
        # What the ledger calls obsolete. The day's lock keeps other runs from reading it meanwhile.
        allow_objects("RemoveObsolete", ["s3:DeleteObject"], arns.objects(lake.VALIDATED)),
        listing("ListZones", arns.bucket, lake.VALIDATED, *written),
        allow_objects("ReadEvents", ["s3:GetObject"], arns.objects(*lake.EVENT_ZONES)),
        listing("FindEvents", arns.bucket, *lake.EVENT_ZONES),
        # S3A asks whether a folder, and each folder above it, is an object of that name: a HEAD, and a listing.
        allow("ProbeFolders", ["s3:GetObject"], arns.folders(*written)),
        allow("ProbeParents", ["s3:ListBucket"], [arns.bucket], {"StringLike": {"s3:prefix": parents(*written)}}),
        allow_objects(
            "ReplaceDays",
            [
                "s3:GetObject",
                "s3:PutObject",
                "s3:DeleteObject",
                "s3:AbortMultipartUpload",
                "s3:ListMultipartUploadParts",
            ],
            arns.objects(*written),
        ),
        allow_objects("WriteReasons", ["s3:PutObject"], arns.objects(lake.REJECTED_RUNS)),
        allow(
            "KeepTheLedger",
            ["dynamodb:Query", "dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
            [arns.ledger_table],
        ),
        allow("Notify", ["sns:Publish"], [arns.topic]),
        # What is gone from the validated zone, ingestion writes anew.
        allow("OrderRestorations", ["sqs:GetQueueUrl", "sqs:SendMessage"], [arns.ingest_queue]),
        counting("CountRecords", names),
        allow_logging([arns.log_streams(group) for group in (names.job_error_logs, names.job_output_logs)]),
    ]


def crawler_statements(arns: Arns) -> list[Statement]:
    """What both crawlers may do."""
    places = [table.location for table in schema.CRAWLED_TABLES]
    tables = [arns.table(table.name) for table in schema.CRAWLED_TABLES]
    return [
        allow_objects("ReadTables", ["s3:GetObject"], arns.objects(*places)),
        listing("ListTables", arns.bucket, *places),
        allow("LocateBucket", ["s3:GetBucketLocation"], [arns.bucket]),
        allow("ReadDatabase", ["glue:GetDatabase"], [arns.catalog, arns.database]),
        allow(
            "AddPartitions",
            [
                "glue:GetTable",
                "glue:GetTables",
                "glue:UpdateTable",  # a crawl leaves its own marks among the table's parameters
                "glue:GetPartition",
                "glue:GetPartitions",
                "glue:BatchGetPartition",
                "glue:BatchCreatePartition",
                "glue:CreatePartition",
                "glue:UpdatePartition",
                "glue:BatchUpdatePartition",
            ],
            [arns.catalog, arns.database, *tables],
        ),
        allow(
            "Log",
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            [arns.log_streams(_CRAWLER_LOGS)],
            because="AWS's own group of all crawlers: Glue makes it, and names its streams after the crawlers.",
        ),
    ]
