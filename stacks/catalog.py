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

_RANGES = {"year": "2025,2040", "month": "1,12", "day": "1,31", "hour": "0,23"}
"""Which values the partition keys of a projected table may have. No event is much older than its stage."""


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
        parameters={"classification": "parquet", "EXTERNAL": "TRUE", **_projection(table, bucket)},
        partition_keys=[_column(column) for column in table.partition_keys],
        storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
            columns=[_column(column) for column in table.columns],
            location=f"s3://{bucket}/{table.location}",
            input_format=_INPUT_FORMAT,
            output_format=_OUTPUT_FORMAT,
            serde_info=_PARQUET,
        ),
    )


def _projection(table: schema.Table, bucket: str) -> dict[str, str]:
    """Athena reckons the partitions of tables that are not crawled, from the layout of their keys.

    A query has to say which days it wants: without that, Athena looks for all hours of all years.
    https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
    """
    if table in schema.CRAWLED_TABLES:
        return {}
    told = {"projection.enabled": "true"}
    folders = ""
    for key in table.partition_keys:
        told[f"projection.{key.name}.type"] = "integer"
        told[f"projection.{key.name}.range"] = _RANGES[key.name]
        told[f"projection.{key.name}.digits"] = str(len(_RANGES[key.name].partition(",")[2]))
        folders += f"{key.name}=${{{key.name}}}/"
    return {**told, "storage.location.template": f"s3://{bucket}/{table.location}{folders}"}


def _column(column: schema.Column) -> glue.CfnTable.ColumnProperty:
    return glue.CfnTable.ColumnProperty(name=column.name, type=column.type, comment=column.comment)
