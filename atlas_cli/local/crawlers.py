"""Crawlers that crawl.

ministack's crawler waits five seconds and says SUCCEEDED. A crawl over CatalogTargets, as AWS does it, adds
the partitions that it finds under an existing table's location. With the crawler's role, so that a role that
may not list or read a prefix fails the crawl here as it would there.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from ministack.core.responses import error_response_json, json_response
from ministack.services import glue

from atlas_cli.local import sealed

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_glue.type_defs import PartitionInputTypeDef, TableTypeDef
    from mypy_boto3_s3.client import S3Client

_SERVICE = "glue.amazonaws.com"


def install(endpoint: str) -> None:
    """Replace ministack's StartCrawler by one that crawls."""

    def start_crawler(data: dict[str, Any]) -> Any:
        crawler = glue._crawlers.get(data.get("Name"))
        if crawler is None:
            return error_response_json("EntityNotFoundException", f"Crawler {data.get('Name')} not found", 400)
        if crawler["State"] != "READY":
            return error_response_json("CrawlerRunningException", f"Crawler {data['Name']} is running", 400)
        crawler["State"] = "RUNNING"
        # The account of the request lives in a context variable, which a thread does not inherit.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(_run, crawler, endpoint), daemon=True).start()
        return json_response({})

    glue._start_crawler = start_crawler


def crawl(targets: list[dict[str, Any]], client: GlueClient, s3: S3Client) -> int:
    """Add to the catalog the partitions that lie under the tables' locations; how many were new."""
    added = 0
    for target in targets:
        for name in target["Tables"]:
            table = client.get_table(DatabaseName=target["DatabaseName"], Name=name)["Table"]
            added += _crawl_table(table, client, s3)
    return added


def partition_values(relative_key: str, keys: list[str]) -> tuple[str, ...] | None:
    """The partition of a key under a table's location: `a=1/b=2/x.parquet` is ("1", "2") of ["a", "b"].

    None for what no crawler sees (a part that starts with `_` or `.`) and for other folder layouts.
    """
    parts = relative_key.split("/")
    if any(part.startswith(("_", ".")) for part in parts) or len(parts) != len(keys) + 1 or not parts[-1]:
        return None
    folders = [part.partition("=") for part in parts[:-1]]
    if [name for name, _, _ in folders] != keys:
        return None
    return tuple(value for _, _, value in folders)


def _run(crawler: dict[str, Any], endpoint: str) -> None:
    began = time.time()
    outcome = {"Status": "SUCCEEDED"}
    try:
        session = sealed.role_session(endpoint, _role_arn(crawler["Role"]), _SERVICE, "AWS-Crawler")
        crawl(crawler["Targets"].get("CatalogTargets", []), session.client("glue"), session.client("s3"))
    except (ClientError, BotoCoreError, PermissionError) as error:
        outcome = {"Status": "FAILED", "ErrorMessage": str(error)}
    ended = time.time()
    if crawler["State"] == "RUNNING":  # else StopCrawler was quicker
        crawler["LastCrawl"] = {
            **outcome,
            "LogGroup": "/aws-glue/crawlers",
            "LogStream": crawler["Name"],
            "MessagePrefix": glue.new_uuid(),
            "StartTime": began,
        }
        crawler.update(CrawlElapsedTime=round((ended - began) * 1000), State="READY")


def _crawl_table(table: TableTypeDef, client: GlueClient, s3: S3Client) -> int:
    keys = [key["Name"] for key in table.get("PartitionKeys", [])]
    location = table["StorageDescriptor"]["Location"].rstrip("/") + "/"
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    known = {tuple(p["Values"]) for p in _partitions(table, client)}
    found: dict[tuple[str, ...], str] = {}
    for key in _keys(s3, bucket, prefix):
        values = partition_values(key[len(prefix) :], keys)
        if values and values not in known:
            found.setdefault(values, key)
    inputs: list[PartitionInputTypeDef] = []
    for values, key in sorted(found.items()):
        s3.get_object(Bucket=bucket, Key=key, Range="bytes=0-3")["Body"].close()  # a crawler reads what it adds
        descriptor: Any = {**table["StorageDescriptor"], "Location": f"s3://{bucket}/{key.rpartition('/')[0]}/"}
        inputs.append({"Values": list(values), "StorageDescriptor": descriptor})
    for start in range(0, len(inputs), 100):
        client.batch_create_partition(
            DatabaseName=table["DatabaseName"],
            TableName=table["Name"],
            PartitionInputList=inputs[start : start + 100],
        )
    return len(inputs)


def _partitions(table: TableTypeDef, client: GlueClient) -> Iterator[Any]:
    pages = client.get_paginator("get_partitions").paginate(
        DatabaseName=table["DatabaseName"], TableName=table["Name"]
    )
    for page in pages:
        yield from page["Partitions"]


def _keys(s3: S3Client, bucket: str, prefix: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            yield item["Key"]


def _role_arn(role: str) -> str:
    return role if role.startswith("arn:") else f"arn:aws:iam::{glue.get_account_id()}:role/{role}"
