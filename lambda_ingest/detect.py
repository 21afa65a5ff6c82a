"""Which format a file is of: by content, then by folder, then by name.

Content comes first: the syntax by the first character, the candidates by the keys of the first records. Where
several formats fit the content, the folder `raw/<format>/` decides, then the name's suffix, then whether the
file was gzipped, then the most specific recognition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice

from atlas import lake
from atlas.formats import LogFormat
from atlas.reasons import FileReason
from lambda_ingest.records import Record
from lambda_ingest.refusal import FileRefusedError
from lambda_ingest.syntax_json import json_records
from lambda_ingest.syntax_xml import xml_records

SAMPLE_RECORDS = 50
_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"


def _begin(chunks: Iterator[bytes]) -> tuple[bytes, int]:
    """The text from its first visible character on, as far as it is there, and how many lines come before it."""
    head, skipped = b"", 0
    for chunk in chunks:
        head = (head + chunk).removeprefix(_BOM)
        visible = head.lstrip(_SPACE)
        skipped += head[: len(head) - len(visible)].count(b"\n")
        head = visible
        if len(head) >= len(_BOM):
            break
    return head, skipped


def read_records(
    chunks: Iterator[bytes], raw_key: str, *, gzip: bool, formats: Mapping[str, LogFormat]
) -> tuple[LogFormat | None, Iterator[Record]]:
    """The file's format and its records; no format if the file holds nothing. Raises FileRefusedError."""
    head, skipped = _begin(chunks)
    if not head:
        return None, iter(())
    text = chain([head], chunks)
    if head.startswith(b"<"):
        elements = frozenset(f.element for f in formats.values() if f.element)
        syntax, records = "xml", xml_records(text, elements)
    elif head.startswith((b"{", b"[")):
        syntax, records = "json", json_records(text, skipped)
    else:
        raise FileRefusedError(FileReason.UNSUPPORTED_FORMAT, f"byte 0: {head[:1]!r} begins no syntax we know")
    sample = list(islice(records, SAMPLE_RECORDS))
    if not sample:
        return None, iter(())
    found = choose_format(sample, syntax, raw_key, gzip=gzip, formats=formats)
    return found, chain(sample, records)


def choose_format(
    sample: Sequence[Record], syntax: str, raw_key: str, *, gzip: bool, formats: Mapping[str, LogFormat]
) -> LogFormat:
    """The format of a file whose first records are given. Raises FileRefusedError."""
    parsed = [record.fields for record in sample if record.fields is not None]
    keys = frozenset(key for fields in parsed for key in fields)
    candidates = [f for f in formats.values() if f.syntax == syntax and f.recognises(keys)]
    if not parsed:  # nothing but malformed records: only the folder can tell
        candidates = [f for f in formats.values() if f.syntax == syntax and f.name == lake.folder_format(raw_key)]
    if not candidates:
        shown = ", ".join(sorted(keys)[:12]) or "none"
        raise FileRefusedError(FileReason.UNSUPPORTED_FORMAT, f"the first records, whose keys are: {shown}")
    name = raw_key.lower()
    return max(
        candidates,
        key=lambda f: (
            f.name == lake.folder_format(raw_key),
            name.endswith(f.suffixes),
            gzip == (f.container == "gzip"),
            len(f.recognise),
        ),
    )
