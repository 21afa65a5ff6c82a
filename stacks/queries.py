"""The query API and its page: answers over HTTP from gold, events and refused records."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import CfnOutput
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from atlas import access, lake, schema
from atlas.names import Names
from atlas.settings import AuthorizerSettings, QuerySettings
from stacks import layer, page
from stacks.arns import Arns
from stacks.base import AtlasStack
from stacks.config import StageConfig
from stacks.events_functions import events_function
from stacks.events_identity import authorizer_statements
from stacks.functions import python_function
from stacks.library import library
from stacks.queries_gateway import GATEWAY_SECONDS, gateway
from stacks.roles import Statement, allow, allow_objects, listing
from stacks.workgroup import workgroup

TABLES = (*schema.GOLD_TABLES, schema.REJECTED_RECORDS, schema.EVENTS)
"""What the API answers from. Silver is not among them."""
FUNCTION_SECONDS = GATEWAY_SECONDS - 1
"""Whoever waits hears of a function that takes too long as of any other fault."""
_AUTHORIZER_SECONDS = 5


@dataclass(frozen=True)
class QuerySizes:
    """The function waits for Athena; memory is for starting quickly, as a processor's share comes with it."""

    memory_mb: int
    timeout_seconds: int = FUNCTION_SECONDS
    ephemeral_storage_mb: int = 512


class QueriesStack(AtlasStack):
    """Redeployable at any time: it holds nothing but answers, which can be asked for again."""

    def __init__(self, scope: Construct, config: StageConfig) -> None:
        super().__init__(scope, "Queries", config=config, description="the query API, its page, the query library")
        names = self.names
        # Of its own, so that its role sees no analyst's results, and analysts see none of its answers.
        workgroup(
            self,
            "Workgroup",
            name=names.api_workgroup,
            description="The query API's questions",
            results=lake.API_RESULTS,
            scan_cutoff_gb=config.query_api.scan_cutoff_gb,
        )
        library(self, names.workgroup)
        api = gateway(self, self._function(), self._authorizer())
        CfnOutput(self, "QueryApiUrl", value=api.url)
        CfnOutput(self, "QueryApiId", value=api.id)
        CfnOutput(self, "QueryFunction", value=names.query_function)
        CfnOutput(self, "ApiWorkgroup", value=names.api_workgroup)

    def _function(self) -> lambda_.Function:
        names, config = self.names, self.config
        settings = QuerySettings(
            bucket=self.arns.bucket_name,
            database=config.database,
            workgroup=names.api_workgroup,
            stage=config.stage,
        )
        return python_function(
            self,
            "Query",
            name=names.query_function,
            description="Answers the query API, and serves its page",
            package="lambda_query",
            folders=["queries"],
            layers=[self._page()],
            lock=layer.QUERIES,
            log_group=names.query_logs,
            role=names.query_role,
            purpose="The query API: gold, events and refused records, to read by way of its own workgroup",
            statements=query_statements(self.arns, names),
            environment=settings.to_env(),
            sizes=QuerySizes(config.query_api.memory_mb),
        )

    def _page(self) -> lambda_.LayerVersion:
        """A layer of its own: its megabytes change seldom, and the function's code often."""
        return lambda_.LayerVersion(
            self,
            "Page",
            description="The page, with what it has from npm: stacks/page",
            code=lambda_.Code.from_asset(str(page.build())),
        )

    def _authorizer(self) -> lambda_.Function:
        names, stage = self.names, self.config.stage
        return events_function(
            self,
            "query_authorizer",
            name=names.query_authorizer_function,
            description="Tells the query API whose token a request has, and whether it holds",
            log_group=names.query_authorizer_logs,
            role=names.query_authorizer_role,
            purpose="The query API's authorizer: the signing key, to read, and which clients there are",
            statements=authorizer_statements(self.arns, self.arns.signing_key),
            environment=AuthorizerSettings(
                stage, access.audience(stage, access.QUERIES_API), names.signing_key, names.client_secrets
            ).to_env(),
            timeout_seconds=_AUTHORIZER_SECONDS,
        )


def query_statements(arns: Arns, names: Names) -> list[Statement]:
    """What the query API may do. Athena reads and writes in the name of whoever asks it.

    By https://docs.aws.amazon.com/athena/latest/ug/example-policies-workgroup.html and
    https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html
    """
    places = [table.location for table in TABLES]
    return [
        allow(
            "Ask",
            ["athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults"],
            [arns.workgroup(names.api_workgroup)],
        ),
        allow(
            "ReadTheCatalog",
            [
                "glue:GetDatabase",
                "glue:GetTable",
                "glue:GetPartition",
                "glue:GetPartitions",
                "glue:BatchGetPartition",
            ],
            [arns.catalog, arns.database, *(arns.table(table.name) for table in TABLES)],
        ),
        allow_objects("ReadTables", ["s3:GetObject"], arns.objects(*places)),
        listing("ListTables", arns.bucket, *places, lake.API_RESULTS),
        allow_objects(
            "KeepAnswers",
            ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
            arns.objects(lake.API_RESULTS),
        ),
        allow("LocateBucket", ["s3:GetBucketLocation"], [arns.bucket]),
    ]
