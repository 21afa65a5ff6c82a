"""Which format a file is of: by content, then by folder, then by name.

Content comes first: XML and JSON are known by how they begin, all other files are lines, and the candidates are
the formats that fit at least half of the first records. Of these the one that the folder `raw/<format>/` names is
taken, else the one that fits most records, then by the name's suffix, then by whether the file was gzipped, then
the one with the most specific recognition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain

from atlas import lake
from atlas.log_format import LogFormat, value_at
from atlas.reasons import FileReason
from lambda_ingest.detect_lines import line_readers
from lambda_ingest.encoding import utf8
from lambda_ingest.records import Batch, Fields
from lambda_ingest.refusal import FileRefusedError
from lambda_ingest.syntax_json import is_object, json_lines, json_records
from lambda_ingest.syntax_xml import xml_records

SAMPLE_RECORDS, _SAMPLE_BYTES = 50, 1 << 18
_ENOUGH = 0.5
"""So many of the first records must fit a format: some may be broken, some may lack a field."""
_HEAD_BYTES = 1 << 16
_SPACE = b" \t\r\n"
_XML = re.compile(rb"<[?!A-Za-z_:\x80-\xff]")
_JSON = re.compile(rb"\{|\[[ \t\r\n]*[\[{\]]")
"""What else begins with a bracket is a line of text, such as `[Fri Nov 29 ...`."""


class Detector:
    """Tells formats for one file: `raw_key` and `gzip` decide between formats that fit the content equally."""

    def __init__(self, formats: Mapping[str, LogFormat], raw_key: str, *, gzip: bool) -> None:
        self._formats = formats
        self._folder = lake.folder_format(raw_key)
        self._name = raw_key.lower()
        self._gzip = gzip

    def read(self, chunks: Iterator[bytes]) -> tuple[LogFormat | None, Iterator[Batch]]:
        """The file's format and its records; no format if the file holds nothing. Raises FileRefusedError."""
        head, skipped, rest = _begin(utf8(chunks))
        if not head:
            return None, iter(())
        text = chain([head], rest)
        if _XML.match(head):
            elements = frozenset(f.element for f in self._of("xml") if f.element)
            return self._sampled("xml", xml_records(text, elements, skipped))
        if _JSON.match(head):
            return self._sampled("json", json_records(text, skipped, self._is_json_record))
        return self._lines(head, text, skipped)

    def _of(self, syntax: str) -> list[LogFormat]:
        return [log_format for log_format in self._formats.values() if log_format.syntax == syntax]

    def _is_json_record(self, fields: Fields) -> bool:
        return any(_fits(log_format, fields) for log_format in self._of("json"))

    def _sampled(self, syntax: str, batches: Iterator[Batch]) -> tuple[LogFormat | None, Iterator[Batch]]:
        """The format by the first records. A fault behind them is raised in its place among the batches."""
        sample: list[Batch] = []
        records = size = 0
        try:
            while records < SAMPLE_RECORDS and size < _SAMPLE_BYTES and (batch := next(batches, None)):
                sample.append(batch)
                records += len(batch.texts)
                size += sum(map(len, batch.texts))
        except FileRefusedError as fault:
            with suppress(FileRefusedError):
                return self._by_records(syntax, _fields(sample)), chain(sample, _raising(fault))
            raise
        if not records:
            return None, iter(())
        return self._by_records(syntax, _fields(sample)), chain(sample, batches)

    def _by_records(self, syntax: str, fields: Sequence[Fields]) -> LogFormat:
        if fields:
            shares = {f.name: sum(_fits(f, record) for record in fields) / len(fields) for f in self._of(syntax)}
        else:  # nothing but malformed records: only the folder can tell
            shares = {f.name: float(f.name == self._folder) for f in self._of(syntax)}
        if found := self._best(shares):
            return found
        names = dict.fromkeys(name for record in fields for name in record)
        shown = ", ".join(sorted(names)[:12]) or "none"
        raise FileRefusedError(
            FileReason.UNSUPPORTED_FORMAT, f"the first {syntax} records, whose fields are: {shown}"
        )

    def _best(self, shares: Mapping[str, float]) -> LogFormat | None:
        """The format that fits most of the first records, at least half of them; its folder's, at least one."""
        enough = [
            self._formats[name]
            for name, share in shares.items()
            if share >= _ENOUGH or (share > 0 and name == self._folder)
        ]
        return max(enough, key=lambda f: self._preference(f, shares[f.name]), default=None)

    def _preference(self, log_format: LogFormat, share: float) -> tuple[bool, float, bool, bool, int]:
        return (
            log_format.name == self._folder,
            share,
            self._name.endswith(log_format.suffixes),
            self._gzip == (log_format.container == "gzip"),
            log_format.specificity,
        )

    def _lines(self, head: bytes, text: Iterator[bytes], skipped: int) -> tuple[LogFormat | None, Iterator[Batch]]:
        """The format by how many of the first lines it reads."""
        lines = _first_lines(head)
        readers = {reader.log_format.name: reader for reader in line_readers(self._formats.values(), lines)}
        shares = {name: reader.readable(lines) for name, reader in readers.items()}
        if found := self._best(shares):
            return found, readers[found.name].records(text, skipped)
        objects = sum(is_object(line.encode("utf-8", "surrogateescape")) for line in lines)
        if objects >= _ENOUGH * len(lines):
            return self._sampled("json", json_lines(text, skipped))
        shown = lines[0][:80].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        place = f"the first lines, which begin {shown!r}"
        nearest = max(shares, key=shares.__getitem__, default="")
        if nearest and shares[nearest]:
            place += f"; nearest is {nearest}, which reads {shares[nearest]:.0%} of them"
        raise FileRefusedError(FileReason.UNSUPPORTED_FORMAT, place)


def _fields(sample: Sequence[Batch]) -> list[Fields]:
    return [record for batch in sample for record in batch.fields if record][:SAMPLE_RECORDS]


def _raising(fault: FileRefusedError) -> Iterator[Batch]:
    raise fault
    yield


def _fits(log_format: LogFormat, fields: Fields) -> bool:
    return log_format.recognises(lambda path: value_at(fields, path) is not None)


def _begin(chunks: Iterator[bytes]) -> tuple[bytes, int, Iterator[bytes]]:
    """The text from its first visible character on, as far as it is needed, the lines before it, and the rest."""
    head, skipped = b"", 0
    for chunk in chunks:
        head += chunk
        visible = head.lstrip(_SPACE)
        skipped += head[: len(head) - len(visible)].count(b"\n")
        head = visible
        if len(head) >= _HEAD_BYTES:
            break
    return head, skipped, chunks


def _first_lines(head: bytes) -> list[str]:
    """The first lines that are not blank, without one that is perhaps cut."""
    lines = head.decode("utf-8", "surrogateescape").split("\n")
    if len(lines) > 1 and len(head) >= _HEAD_BYTES:
        lines.pop()
    return [line.rstrip("\r") for line in lines if line.strip()][:SAMPLE_RECORDS]
