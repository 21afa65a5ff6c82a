"""The Glue database and its tables, all of them from atlas/schema.py."""

from __future__ import annotations

from aws_cdk import aws_glue as glue
from constructs import Construct

from atlas import schema
from stacks.arns import Arns

_PARQUET = glue.CfnTable.SerdeInfoProperty(
    serialization_library="org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    parameters={"serialization.format": "1"},
)
_INPUT_FORMAT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
_OUTPUT_FORMAT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"


class Catalog(Construct):
    """Tables are declared here and never inferred: the crawlers only add partitions to them."""

    def __init__(self, scope: Construct, construct_id: str, *, database: str, account: str, arns: Arns) -> None:
        super().__init__(scope, construct_id)
        owner = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=account,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=database,
                description="Atlas: logs as tables whose books balance",
            ),
        )
        for table in schema.TABLES:
            declared = glue.CfnTable(
                self,
                table.name,
                catalog_id=account,
                database_name=database,
                table_input=_table_input(table, arns.bucket_name),
            )
            declared.add_resource_dependency(owner)


def _table_input(table: schema.Table, bucket: str) -> glue.CfnTable.TableInputProperty:
    return glue.CfnTable.TableInputProperty(
        name=table.name,
        description=table.description,
        table_type="EXTERNAL_TABLE",
        parameters={"classification": "parquet", "EXTERNAL": "TRUE"},
        partition_keys=[_column(column) for column in table.partition_keys],
        storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
            columns=[_column(column) for column in table.columns],
            location=f"s3://{bucket}/{table.location}",
            input_format=_INPUT_FORMAT,
            output_format=_OUTPUT_FORMAT,
            serde_info=_PARQUET,
        ),
    )


def _column(column: schema.Column) -> glue.CfnTable.ColumnProperty:
    return glue.CfnTable.ColumnProperty(name=column.name, type=column.type, comment=column.comment)
