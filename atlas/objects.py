"""Listing, writing and deleting objects of a bucket through a boto3 S3 client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

AT_ONCE = 8
"""Objects under way at a time."""


def list_keys(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    """Every key under a prefix."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            yield str(entry["Key"])


def list_folders(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    """The folders right under a prefix, each as a prefix with a slash at its end."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
        for entry in page.get("CommonPrefixes", []):
            yield str(entry["Prefix"])


def put_files(s3: Any, bucket: str, files: Mapping[str, Path]) -> None:
    """Writes files to keys, some at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda key: s3.upload_file(str(files[key]), bucket, key), files))


def delete_keys(s3: Any, bucket: str, keys: Iterable[str]) -> None:
    """Deletes keys, whether they are there or not.

    One by one: they are few, and DeleteObjects reports failures as successes.
    """
    for key in keys:
        s3.delete_object(Bucket=bucket, Key=key)
