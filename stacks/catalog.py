"""The Glue database, its tables and views, all of them from atlas/schema.py."""

from __future__ import annotations

import base64
import json

from aws_cdk import aws_glue as glue
from constructs import Construct

from atlas import questions, schema
from stacks.arns import Arns

_PARQUET = glue.CfnTable.SerdeInfoProperty(
    serialization_library="org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    parameters={"serialization.format": "1"},
)
_INPUT_FORMAT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
_OUTPUT_FORMAT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

_TRINO = {"string": "varchar", "bigint": "bigint", "timestamp": "timestamp(3)"}
"""Hive's types as Athena calls them, of columns that views have."""

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
        for view in schema.VIEWS:
            declared = glue.CfnTable(
                self,
                view.name,
                catalog_id=account,
                database_name=database,
                table_input=_view_input(view, database),
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


def _view_input(view: schema.View, database: str) -> glue.CfnTable.TableInputProperty:
    """A view as Athena itself enters it in the catalog: its statement and columns as JSON, in Trino's types.

    Athena looks whether the statement still gives these columns whenever somebody asks the view.
    """
    told = {
        "originalSql": questions.load(questions.VIEWS)[view.name].sql,
        "catalog": "awsdatacatalog",
        "schema": database,
        "columns": [{"name": column.name, "type": _TRINO[column.type]} for column in view.columns],
    }
    encoded = base64.b64encode(json.dumps(told).encode()).decode()
    return glue.CfnTable.TableInputProperty(
        name=view.name,
        description=view.description,
        table_type="VIRTUAL_VIEW",
        parameters={"presto_view": "true", "comment": "Presto View"},
        partition_keys=[],
        view_original_text=f"/* Presto View: {encoded} */",
        view_expanded_text="/* Presto View */",
        storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
            columns=[_column(column) for column in view.columns],
            location="",
            serde_info=glue.CfnTable.SerdeInfoProperty(),
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
