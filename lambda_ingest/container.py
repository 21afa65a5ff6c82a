"""From a landed object's bytes to its text: counts and hashes what is read, and inflates by magic bytes.

The name decides nothing. Compressed text may come in any number of members (gzip), streams (bzip2, xz) or frames
(zstd), with zeros between and after them, and may itself be compressed once more, as it happens when a gzipped
file is uploaded with gzip as its content encoding. Memory is bounded: nothing is inflated further than asked for.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from isal import igzip_lib

from atlas.reasons import FileReason
from lambda_ingest.chunks import peek
from lambda_ingest.refusal import FileRefusedError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK_BYTES = 1 << 16
"""Text comes in pieces of about this size: small enough that a piece's records stay in the processor's cache."""

MAX_TEXT_BYTES = 4 << 30
"""No more text than this is taken from one file: docs/performance.md derives it from the Lambda's limits."""

MAX_RATIO, RATIO_COUNTS_FROM = 250, 256 << 20
"""Log text is inflated 5 to 100 times. What swells more, and is large, is a bomb."""

_MAX_LAYERS = 2
_XZ_MEMORY_BYTES = 128 << 20  # `xz -9` needs 65 MiB
_HEAD_BYTES = 512
_TAR_MAGIC_AT, _TAR_MAGIC = 257, b"ustar"

_UNSUPPORTED = {
    b"PK\x03\x04": "a zip archive",
    b"PK\x05\x06": "an empty zip archive",
    b"PK\x07\x08": "a zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a rar archive",
    b"\x04\x22\x4d\x18": "an lz4 frame",
    b"\xff\x06\x00\x00sNaPpY": "a snappy stream",
    b"\x1f\x9d": "a file of `compress`",
    b"PAR1": "a Parquet file",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
}


class Readable(Protocol):
    """A binary stream, such as an open file or the body of an S3 answer."""

    def read(self, amount: int, /) -> bytes:
        """Up to `amount` bytes; none at the end."""
        ...


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


@dataclass(frozen=True)
class _Compression:
    """One compression: the bytes that it begins with, and what reads it."""

    name: str
    magics: tuple[bytes, ...]
    decompressor: Callable[[], _Decompressor]
    fault: type[Exception]
    truncated: FileReason = FileReason.TRUNCATED_STREAM
    corrupt: FileReason = FileReason.CORRUPT_STREAM

    def begins(self, data: bytes) -> bool:
        return data.startswith(self.magics)

    def may_begin(self, data: bytes) -> bool:
        """Whether these bytes, which are all there are, are too few to tell."""
        return any(magic.startswith(data) and magic != data for magic in self.magics)


_COMPRESSIONS = (
    _Compression(
        "gzip",
        (b"\x1f\x8b",),
        lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
        igzip_lib.IsalError,  # type: ignore[arg-type] # isal's stub takes the class for an instance
        FileReason.TRUNCATED_GZIP,
        FileReason.CORRUPT_GZIP,
    ),
    _Compression("bzip2", tuple(b"BZh%d" % level for level in range(1, 10)), bz2.BZ2Decompressor, OSError),
    _Compression(
        "xz",
        (b"\xfd7zXZ\0",),
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES),
        lzma.LZMAError,
    ),
    _Compression(
        "zstd",
        (b"\x28\xb5\x2f\xfd", *(bytes((0x50 + n,)) + b"\x2a\x4d\x18" for n in range(16))),  # the latter: skippable
        zstd.ZstdDecompressor,
        zstd.ZstdError,
    ),
)
_LONGEST_MAGIC = 6


class Container:
    """Reads an object once, in chunks.

    `to_the_cut` has a stream that ends too early end there, with `cut` to tell of it, instead of refusing the file.
    From `text` on, `compression` is gzip, bzip2, xz, zstd or None. After it is exhausted and `drain` called, `size`
    is the object's size in bytes and `content_hash` the SHA-256 of its bytes.
    """

    def __init__(self, stream: Readable, *, to_the_cut: bool = False) -> None:
        self._stream = stream
        self._to_the_cut = to_the_cut
        self.cut: FileRefusedError | None = None
        self._hash = hashlib.sha256()
        self.size = 0
        self.warnings: list[str] = []
        self.compression: str | None = None

    @property
    def content_hash(self) -> str:
        """64 hex digits over all that was read so far."""
        return self._hash.hexdigest()

    def _read(self) -> bytes:
        chunk = self._stream.read(CHUNK_BYTES)
        self._hash.update(chunk)
        self.size += len(chunk)
        return chunk

    def drain(self) -> None:
        """Reads what is left, so that size and hash speak of the whole object."""
        while self._read():
            pass

    def text(self) -> Iterator[bytes]:
        """The inflated bytes, in chunks of no fixed size. Raises FileRefusedError."""
        chunks = iter(self._read, b"")
        for layer in range(_MAX_LAYERS + 1):
            head, chunks = peek(chunks, _HEAD_BYTES)
            _check_supported(head)
            compression = _compression(head)
            if compression is None:
                return self._bounded(chunks)
            self.compression = self.compression or compression.name
            if layer < _MAX_LAYERS:
                chunks = self._inflated(chunks, compression)
        raise FileRefusedError(FileReason.UNSUPPORTED_CONTAINER, f"layer {_MAX_LAYERS + 1} of compression")

    def _bounded(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        passed = 0
        for chunk in chunks:
            passed += len(chunk)
            if passed > MAX_TEXT_BYTES or (passed > RATIO_COUNTS_FROM and passed > MAX_RATIO * self.size):
                raise FileRefusedError(
                    FileReason.TOO_LARGE, f"byte {passed} of the text, inflated from {self.size} bytes"
                )
            yield chunk

    def _inflated(self, chunks: Iterator[bytes], compression: _Compression) -> Iterator[bytes]:
        """The content of all members; zeros between and after them are padding, other bytes a warning."""
        data = b""
        while data := _after_padding(data, chunks):
            if compression.may_begin(data):  # shorter than the magic: the rest of a member that was cut off
                self._end_early(compression)
                return
            if not compression.begins(data):
                self.warnings.append("trailing_garbage")
                return
            member = compression.decompressor()
            while not member.eof:
                try:
                    piece = member.decompress(data, CHUNK_BYTES)
                except compression.fault as fault:  # and none of the stream's own errors, which may be alike
                    place = f"byte {self.size} of the file or before: {fault}"
                    raise FileRefusedError(compression.corrupt, place) from None
                if piece:
                    yield piece
                data = b""
                if member.needs_input and not (data := next(chunks, b"")):
                    break
            if not member.eof:
                self._end_early(compression)
                return
            data = member.unused_data

    def _end_early(self, compression: _Compression) -> None:
        fault = FileRefusedError(compression.truncated, f"byte {self.size}, the end of the file")
        if not self._to_the_cut:
            raise fault
        self.cut = self.cut or fault


def _after_padding(data: bytes, chunks: Iterator[bytes]) -> bytes:
    """What follows the zeros, at least as much as a magic number is long if there is so much."""
    data = data.lstrip(b"\0")
    while len(data) < _LONGEST_MAGIC and (more := next(chunks, b"")):
        data = (data + more).lstrip(b"\0")
    return data


def _compression(head: bytes) -> _Compression | None:
    return next((compression for compression in _COMPRESSIONS if compression.begins(head)), None)


def _check_supported(head: bytes) -> None:
    """Raises FileRefusedError for archives and binary formats, which hold no text of their own."""
    for magic, name in _UNSUPPORTED.items():
        if head.startswith(magic):
            raise FileRefusedError(FileReason.UNSUPPORTED_CONTAINER, f"byte 0, which begins {name}")
    if head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC):
        raise FileRefusedError(FileReason.UNSUPPORTED_CONTAINER, f"byte {_TAR_MAGIC_AT}, the mark of a tar archive")
