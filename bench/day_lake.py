"""A lake without a network: what the day's code calls of boto3, answered from a folder.

An object is the file under its key; the ledger is the `day.json` that day_data.py wrote beside the bucket's folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from atlas.clients import Clients
from atlas.settings import JobSettings

BUCKET = "lake"


class FolderS3:
    """The methods of boto3's S3 client that atlas/, lambda_day/ and glue_jobs/ call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: ARG002, N803 - boto3 names them
        """All of an object."""
        return {"Body": BytesIO(self._there(Key, "GetObject").read_bytes())}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **_: Any) -> None:  # noqa: ARG002, N803
        """Writes an object."""
        self._place(Key).write_bytes(Body)

    def copy_object(self, *, Bucket: str, Key: str, CopySource: dict[str, str]) -> None:  # noqa: ARG002, N803
        """Copies an object within the bucket."""
        shutil.copyfile(self._there(CopySource["Key"], "CopyObject"), self._place(Key))

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: ARG002, N803
        """Deletes an object, if it is there."""
        (self._folder / Key).unlink(missing_ok=True)

    def download_file(self, Bucket: str, Key: str, Filename: str, Config: object = None) -> None:  # noqa: ARG002, N803
        """Copies an object to a file: its bytes, as if they had come over a network that takes no time."""
        shutil.copyfile(self._there(Key, "HeadObject"), Filename)

    def upload_file(self, Filename: str, Bucket: str, Key: str, Config: object = None) -> None:  # noqa: ARG002, N803
        """Copies a file to an object."""
        shutil.copyfile(Filename, self._place(Key))

    def get_paginator(self, operation: str) -> FolderS3:
        """The one paginator."""
        if operation != "list_objects_v2":
            raise NotImplementedError(operation)
        return self

    def paginate(self, *, Bucket: str, Prefix: str, Delimiter: str = "") -> Iterator[dict[str, Any]]:  # noqa: ARG002, N803
        """One page of keys, or of the folders right under a prefix."""
        start = self._folder / Prefix.rpartition("/")[0]
        if Delimiter:
            folders = sorted(path for path in start.glob("*") if path.is_dir())
            yield {"CommonPrefixes": [{"Prefix": f"{path.relative_to(self._folder)}/"} for path in folders]}
            return
        keys = sorted(str(path.relative_to(self._folder)) for path in start.rglob("*") if path.is_file())
        yield {"Contents": [{"Key": key} for key in keys if key.startswith(Prefix)]}

    def _place(self, key: str) -> Path:
        place = self._folder / key
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def _there(self, key: str, operation: str) -> Path:
        if not (self._folder / key).is_file():
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": key}}, operation)
        return self._folder / key


class FolderLedger:
    """The methods of boto3's Table that a day's work calls. Nothing is obsolete, and nobody else has the day."""

    def __init__(self, description: Path) -> None:
        self._description = description

    def get_item(self, **_: Any) -> dict[str, Any]:
        """No state."""
        return {}

    def query(self, *, ExpressionAttributeValues: dict[str, str], **_: Any) -> dict[str, Any]:  # noqa: N803
        """The day's items of one kind."""
        items = json.loads(self._description.read_text())["ledger"]
        return {"Items": [item for item in items if item["sk"].startswith(ExpressionAttributeValues[":kind"])]}

    def update_item(self, **_: Any) -> None:
        """Forgets it."""


class Nobody:
    """A client of boto3 that talks to nobody."""

    def __getattr__(self, _: str) -> Callable[..., None]:
        """Any call."""
        return lambda **_: None


def clients(folder: Path) -> Clients:
    """What a day's work talks to, for the lake in a folder."""
    others = {name: Nobody() for name in ("sns", "sqs", "cloudwatch")}
    return Clients(s3=FolderS3(folder / "bucket"), ledger=FolderLedger(folder / "day.json"), **others)


def settings(day: date) -> JobSettings:
    """The arguments of a run of the day."""
    return JobSettings(BUCKET, "ledger", "topic", "orders", "Atlas/bench", day, "bench", datetime.now(UTC))
