"""Objects between the lake and the scratch disk, some at a time."""

from __future__ import annotations

import gzip
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from isal import igzip, igzip_lib

from atlas.objects import AT_ONCE
from lambda_day.damage import DamagedObjectError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PIECE = 1 << 18
_ONE_THREAD = TransferConfig(use_threads=False)
"""The threads are those of the pool."""


class ObjectGoneError(LookupError):
    """An object that the ledger names is not there."""


class Scratch:
    """Brings gzipped objects to a folder, where each lies inflated under its key."""

    def __init__(self, s3: S3Client, bucket: str, folder: Path) -> None:
        self._s3 = s3
        self._bucket = bucket
        self.folder = folder

    def batches(self, batches: Iterable[Sequence[str]]) -> Iterator[list[Path]]:
        """The files of each batch of keys, while the next one is under way. They go when the next one is asked for.

        So scratch holds two batches at most. Raises ObjectGoneError and DamagedObjectError.
        """
        with ThreadPoolExecutor(AT_ONCE) as pool:
            coming: deque[list[Future[Path]]] = deque()
            for keys in batches:
                coming.append([pool.submit(self._bring, key) for key in keys])
                if len(coming) > 1:
                    yield from _lent(coming.popleft())
            while coming:
                yield from _lent(coming.popleft())

    def keep(self, keys: Iterable[str]) -> list[Path]:
        """The files of objects that are not packed. They stay; those that are there are not brought again."""

        def bring(key: str) -> Path:
            file = self.folder / key
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                self._s3.download_file(self._bucket, key, str(file), Config=_ONE_THREAD)
            return file

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(bring, keys))

    def _bring(self, key: str) -> Path:
        file = self.folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        packed = file.with_name(file.name + ".packed")
        try:
            self._s3.download_file(self._bucket, key, str(packed), Config=_ONE_THREAD)
        except ClientError as fault:
            if fault.response["Error"]["Code"] in ("404", "NoSuchKey"):
                raise ObjectGoneError(
                    f"{key} is in the ledger, but not in the bucket. `atlas replay FILE` writes it anew, from the "
                    "archive: the ledger has its source file under the day"
                ) from fault
            raise
        # DuckDB would inflate more slowly, and all of a file in one thread; it reads the text in several.
        try:
            with igzip.open(packed) as inflated, file.open("wb") as target:  # type: ignore[no-untyped-call]
                shutil.copyfileobj(inflated, target, _PIECE)
        except (EOFError, gzip.BadGzipFile, igzip_lib.IsalError) as fault:  # type: ignore[misc] # isal's stubs
            raise DamagedObjectError(key, f"{type(fault).__name__}: {fault}") from fault
        packed.unlink()
        return file


def _lent(coming: list[Future[Path]]) -> Iterator[list[Path]]:
    files = [future.result() for future in coming]
    yield files
    for file in files:
        file.unlink()
