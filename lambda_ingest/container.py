"""From a landed object's bytes to its text: counts and hashes what is read, and inflates gzip by its magic."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import Protocol

from isal import isal_zlib
from isal.igzip_lib import IsalError

from atlas.reasons import FileReason
from lambda_ingest.refusal import FileRefusedError

CHUNK_BYTES = 1 << 18
_GZIP = b"\x1f\x8b"
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06")
_TAR_MAGIC_AT, _TAR_MAGIC = 257, b"ustar"


class Readable(Protocol):
    """A binary stream, such as an open file or the body of an S3 answer."""

    def read(self, amount: int, /) -> bytes:
        """Up to `amount` bytes; none at the end."""
        ...


class Container:
    """Reads an object once, in chunks.

    After `text` is exhausted, `size` is the object's size in bytes and `content_hash` the SHA-256 of its bytes.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0
        self.warnings: list[str] = []
        self._head = self._read()
        while self._head and len(self._head) < 512 and (more := self._read()):
            self._head += more
        self.gzip = self._head.startswith(_GZIP)

    @property
    def content_hash(self) -> str:
        """64 hex digits over all that was read so far."""
        return self._hash.hexdigest()

    def _read(self) -> bytes:
        chunk = self._stream.read(CHUNK_BYTES)
        self._hash.update(chunk)
        self.size += len(chunk)
        return chunk

    def _chunks(self) -> Iterator[bytes]:
        chunk = self._head
        while chunk:
            yield chunk
            chunk = self._read()

    def drain(self) -> None:
        """Reads what is left, so that size and hash speak of the whole object."""
        while self._read():
            pass

    def text(self) -> Iterator[bytes]:
        """The inflated bytes, in chunks of no fixed size. Raises FileRefusedError."""
        if self._head.startswith(_ARCHIVES) or self._head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC):
            raise FileRefusedError(FileReason.UNSUPPORTED_CONTAINER)
        yield from self._inflated() if self.gzip else self._chunks()

    def _inflated(self) -> Iterator[bytes]:
        """Any number of gzip members, zero padding between and after them; other bytes after them are a warning."""
        member = None
        begun = 0
        for chunk in self._chunks():
            data = chunk
            while data:
                if member is None:
                    data = data.lstrip(b"\0")
                    if not data:
                        break
                    if begun and not data.startswith(_GZIP[: len(data)]):
                        self.warnings.append("trailing_garbage")
                        return
                    member, begun = isal_zlib.decompressobj(16 + zlib.MAX_WBITS), begun + 1
                try:
                    inflated = member.decompress(data)
                except IsalError:  # type: ignore[misc] # isal's stub names no base class
                    raise FileRefusedError(FileReason.CORRUPT_GZIP, f"byte {self.size} or before") from None
                if inflated:
                    yield inflated
                data = member.unused_data if member.eof else b""
                if member.eof:
                    member = None
        if member is not None:
            raise FileRefusedError(FileReason.TRUNCATED_GZIP, f"byte {self.size}")
