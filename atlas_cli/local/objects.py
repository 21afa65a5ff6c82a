"""A file system's view of S3: what Hadoop asks of a file system, answered by the live bucket.

An object store has no directories. Here a directory exists if some key lies under it, or if it was
made in this run (which only this process remembers, as a `mkdir` writes nothing to S3).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_MISSING = {"404", "NoSuchKey", "NotFound"}


@dataclass(frozen=True)
class Entry:
    """A file or a directory. `path` has no slash at either end; `size` in bytes, `modified` in epoch ms."""

    path: str
    is_dir: bool
    size: int = 0
    modified: int = 0

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]


class BucketFiles:
    """The objects of one bucket as files. S3's refusals (`ClientError`) pass through to the caller."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._made: set[str] = {""}
        self._lock = threading.Lock()

    def status(self, path: str) -> Entry | None:
        """The file or directory at `path`, or None. The order of the probes is S3A's: HEAD, then LIST."""
        if path:
            try:
                head = self._s3.head_object(Bucket=self._bucket, Key=path)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _MISSING:
                    raise
            else:
                return Entry(path, False, head["ContentLength"], _millis(head["LastModified"]))
        if path in self._made or self._has_children(path):
            return Entry(path, True)
        return None

    def children(self, path: str) -> list[Entry]:
        """What lies directly under the directory `path`, sorted by name."""
        prefix = _prefix(path)
        found: dict[str, Entry] = {}
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, Delimiter="/"
        )
        for page in pages:
            for common in page.get("CommonPrefixes", []):
                child = common["Prefix"].rstrip("/")
                found[child] = Entry(child, True)
            for item in page.get("Contents", []):
                if item["Key"].endswith("/"):  # a console's "folder" object
                    continue
                found[item["Key"]] = Entry(item["Key"], False, item["Size"], _millis(item["LastModified"]))
        with self._lock:
            made = [m for m in self._made if m and m.startswith(prefix) and "/" not in m[len(prefix) :]]
        for child in made:
            found.setdefault(child, Entry(child, True))
        return [found[child] for child in sorted(found)]

    def tree(self, path: str) -> Iterator[Entry]:
        """Every object under the directory `path`, whatever its depth."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=_prefix(path))
        for page in pages:
            for item in page.get("Contents", []):
                yield Entry(item["Key"], False, item["Size"], _millis(item["LastModified"]))

    def read(self, path: str, offset: int, length: int | None) -> tuple[int, IO[bytes]]:
        """A file's bytes from `offset`, and how many there are."""
        last = "" if length is None else str(offset + length - 1)
        answer = self._s3.get_object(Bucket=self._bucket, Key=path, Range=f"bytes={offset}-{last}")
        body: Any = answer["Body"]
        return answer["ContentLength"], body

    def write(self, path: str, body: IO[bytes]) -> None:
        """One object from a stream; nothing is visible before its end, as with S3A."""
        self._s3.upload_fileobj(body, self._bucket, path)

    def make(self, path: str) -> None:
        """Remember a directory and its parents."""
        parts = path.split("/")
        with self._lock:
            self._made.update("/".join(parts[: n + 1]) for n in range(len(parts)))

    def rename(self, source: str, target: str) -> bool:
        """Copy and delete, since S3 has no rename. As Hadoop wants it: into `target` if that is a directory."""
        origin = self.status(source)
        if origin is None:
            return False
        existing = self.status(target)
        if existing is not None:
            if not existing.is_dir:
                return False
            target = f"{target}/{origin.name}".lstrip("/")
            if self.status(target) is not None:
                return False
        moves = {source: target}
        if origin.is_dir:
            moves = {e.path: target + e.path[len(source) :] for e in self.tree(source)}
        for old, new in moves.items():
            self._s3.copy({"Bucket": self._bucket, "Key": old}, self._bucket, new)
        self._delete_keys(list(moves))
        self._move_made(source, target)
        return True

    def delete(self, path: str, recursive: bool) -> bool:
        """Delete a file or a directory; False if there is none. OSError if a full directory is not to go."""
        entry = self.status(path)
        if entry is None:
            return False
        if entry.is_dir:
            keys = [e.path for e in self.tree(path)]
            if keys and not recursive:
                raise OSError(f"/{path} is not empty")
        else:
            keys = [path]
        self._delete_keys(keys)
        with self._lock:
            self._made = {m for m in self._made if not m or not _within(m, path)}
        return True

    def _has_children(self, path: str) -> bool:
        page = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=_prefix(path), MaxKeys=1)
        return bool(page.get("Contents"))

    def _delete_keys(self, keys: list[str]) -> None:
        for start in range(0, len(keys), 1000):
            batch = keys[start : start + 1000]
            answer = self._s3.delete_objects(
                Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
            )
            # A batch delete answers 200 even when it was denied: the refusals are in its body.
            for refusal in answer.get("Errors", []):
                error: Any = {"Error": {"Code": refusal.get("Code"), "Message": refusal.get("Message")}}
                raise ClientError(error, f"DeleteObjects of {refusal.get('Key')}")

    def _move_made(self, source: str, target: str) -> None:
        with self._lock:
            moved = {m for m in self._made if m and _within(m, source)}
            self._made -= moved
            self._made |= {target + m[len(source) :] for m in moved}


def _prefix(path: str) -> str:
    return f"{path}/" if path else ""


def _within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(_prefix(directory))


def _millis(moment: Any) -> int:
    return int(moment.timestamp() * 1000)
