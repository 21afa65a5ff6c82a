"""The ingestion's effects on S3. Every key is deterministic, so every effect may happen twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from atlas.objects import delete_keys, put_files
from lambda_ingest.container import Readable
from lambda_ingest.events import LandedObject

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mypy_boto3_s3 import S3Client


_GONE = ("NoSuchKey", "NoSuchVersion", "404")


class ObjectGoneError(Exception):
    """The landed object is not there any more: an earlier delivery has dealt with it, or someone deleted it."""


class LakeObjects:
    """Reads landed objects and writes the zones of their bucket."""

    def __init__(self, s3: S3Client) -> None:
        self._s3 = s3

    def open(self, landed: LandedObject) -> tuple[AbstractContextManager[Readable], datetime]:
        """The object's bytes as a stream, and when it landed. Raises ObjectGoneError."""
        try:
            answer = self._s3.get_object(Bucket=landed.bucket, Key=landed.key, **_version(landed))
        except ClientError as fault:
            if fault.response["Error"]["Code"] in _GONE:
                raise ObjectGoneError(landed.key) from fault
            raise
        return closing(answer["Body"]), answer["LastModified"]

    def open_key(self, bucket: str, key: str) -> AbstractContextManager[Readable]:
        """The bytes of an object of the lake. Raises ObjectGoneError."""
        try:
            return closing(self._s3.get_object(Bucket=bucket, Key=key)["Body"])
        except ClientError as fault:
            if fault.response["Error"]["Code"] in _GONE:
                raise ObjectGoneError(f"{key}, which the ledger names, is not in the bucket") from fault
            raise

    def upload(self, bucket: str, files: Mapping[str, Path]) -> None:
        """Writes files to keys."""
        put_files(self._s3, bucket, files)

    def copy(self, landed: LandedObject, key: str) -> None:
        """Copies the producer's bytes within the bucket, of any size. Raises ObjectGoneError."""
        source: Any = {"Bucket": landed.bucket, "Key": landed.key, **_version(landed)}
        try:
            self._s3.copy(source, landed.bucket, key)
        except ClientError as fault:
            if fault.response["Error"]["Code"] in _GONE:
                raise ObjectGoneError(landed.key) from fault
            raise

    def copy_key(self, bucket: str, source: str, key: str) -> None:
        """Copies an object of the lake."""
        self._s3.copy({"Bucket": bucket, "Key": source}, bucket, key)

    def put_document(self, bucket: str, key: str, document: Mapping[str, Any]) -> None:
        """Writes a small JSON document."""
        body = json.dumps(document, indent=2, ensure_ascii=False).encode()
        self._s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")

    def delete(self, bucket: str, keys: Iterable[str]) -> None:
        """Deletes keys, whether they are there or not."""
        delete_keys(self._s3, bucket, keys)

    def clear_landed(self, landed: LandedObject) -> None:
        """Takes exactly this version out of raw/: one that landed meanwhile stays."""
        self._s3.delete_object(Bucket=landed.bucket, Key=landed.key, **_version(landed))


def _version(landed: LandedObject) -> Any:
    return {"VersionId": landed.version_id} if landed.version_id else {}
