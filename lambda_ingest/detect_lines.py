"""Which formats can read the first lines of a file, and how they would read the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from atlas.log_format import Delimited, LogFormat
from lambda_ingest.event_time import EventTimes
from lambda_ingest.records import Batch, Fields
from lambda_ingest.syntax_delimited import delimited_records, header_names, split
from lambda_ingest.syntax_text import is_blank, text_records


@dataclass(frozen=True)
class LineReader:
    """A format that may read a file; `names` are those of a delimited file's fields."""

    log_format: LogFormat
    names: Sequence[str] = ()

    def records(self, chunks: Iterator[bytes], skipped: int) -> Iterator[Batch]:
        """The records of the whole text, which begins after `skipped` lines."""
        log_format = self.log_format
        if log_format.pattern is not None:
            return text_records(chunks, skipped, log_format.pattern, log_format.comment)
        assert log_format.delimited is not None  # noqa: S101 - for the type checker
        return delimited_records(chunks, skipped, log_format.delimited, self.names, log_format.comment)

    def readable(self, lines: Sequence[str]) -> float:
        """The share of these lines that are records of the format; comments and headers do not count."""
        fields = [self._fields(line) for line in lines if not self._is_no_record(line)]
        found = [record for record in fields if record is not None]
        if not fields:  # a header alone, as of an hour without traffic
            return float(bool(self.names) and self.log_format.recognises(frozenset(self.names).__contains__))
        if not self.log_format.recognises(lambda path: any(record.get(path) for record in found)):
            return 0.0
        if self.log_format.delimited:  # any line has fields: their times tell whether they are the right ones
            found = [
                record for record, time in zip(found, EventTimes(self.log_format).of(found), strict=True) if time
            ]
        return len(found) / len(fields)

    def _is_no_record(self, line: str) -> bool:
        delimited = self.log_format.delimited
        return is_blank(line, self.log_format.comment) or (
            delimited is not None
            and (header_names(line, delimited) is not None or line.split() == list(self.names))
        )

    def _fields(self, line: str) -> Fields | None:
        log_format = self.log_format
        if log_format.pattern is not None:
            found = log_format.pattern.fullmatch(line)
            return found.groupdict() if found else None
        assert log_format.delimited is not None  # noqa: S101 - for the type checker
        values = split(line, log_format.delimited)
        return dict(zip(self.names, values, strict=True)) if values and len(values) == len(self.names) else None


def line_readers(formats: Iterable[LogFormat], lines: Sequence[str]) -> list[LineReader]:
    """The formats that might read a file with these first lines."""
    readers = []
    for log_format in formats:
        if log_format.syntax == "text":
            readers.append(LineReader(log_format))
        elif log_format.delimited is not None:
            names = _names(log_format, log_format.delimited, lines)
            if names:
                readers.append(LineReader(log_format, names))
    return readers


def _names(log_format: LogFormat, delimited: Delimited, lines: Sequence[str]) -> Sequence[str] | None:
    """The fields' names: a header's, or as many of the standard order as the first record has fields."""
    for line in lines:
        header = header_names(line, delimited)
        if header:
            return header
    first = next((line for line in lines if not is_blank(line, log_format.comment)), None)
    values = split(first, delimited) if first is not None else None
    if values is None:
        return None
    if delimited.header_prefix is None and log_format.recognises(frozenset(values).__contains__):
        return values
    if not delimited.fields:
        return None
    further = [f"field_{number}" for number in range(len(delimited.fields) + 1, len(values) + 1)]
    return [*delimited.fields[: len(values)], *further]
