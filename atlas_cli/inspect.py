"""`atlas inspect`: what ingestion would do with files. The Lambda's own code reads them here, without a cloud."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from atlas.formats import LogFormat, load_formats
from atlas_cli.console import CommandError, Say, cut, shown
from atlas_cli.put import raw_keys
from lambda_ingest.read import Reading, read_file
from lambda_ingest.spool import Spool

_PART_BYTES = 1 << 27
"""How the scratch envelopes are cut into parts changes nothing of what is said."""

_LONG_BYTES = 1 << 24
"""A file that one may have to wait for is announced."""

_INDENT = "    "


def inspect(files: Sequence[str], prefix: str, say: Say) -> None:
    """Says of each file what ingestion would do with it if it were dropped under `prefix`.

    With --json as soon as a file has been judged. Raises CommandError, after all others were judged, if there
    are files that cannot be.
    """
    formats = load_formats()
    judged: list[tuple[str, Reading]] = []
    faults = []
    for file in files:
        try:
            reading = _read(Path(file), prefix, formats, say)
        except CommandError as fault:
            faults.append(str(fault))
        except OSError as fault:
            faults.append(f"{file} cannot be judged: {fault.strerror or fault}")
        else:
            if say.as_json:
                # ASCII: what a broken file holds must not break the line, nor the terminal or pipe it goes to.
                print(json.dumps(as_document(file, reading)), flush=True)
            else:
                judged.append((file, reading))
    if judged:
        _tell(judged, say)
    if faults:
        raise CommandError("; ".join(faults))


def _read(path: Path, prefix: str, formats: Mapping[str, LogFormat], say: Say) -> Reading:
    """What ingestion makes of a file; its envelopes are gone afterwards. Raises CommandError and OSError."""
    [raw_key] = raw_keys([path], prefix)
    with path.open("rb") as stream, tempfile.TemporaryDirectory(prefix="atlas-inspect-") as folder:
        size = path.stat().st_size
        if size >= _LONG_BYTES:
            say.step(f"reading {path}, {size >> 20:,} MiB")
        return read_file(stream, raw_key, Spool(Path(folder), _PART_BYTES), formats)


def _verdict(reading: Reading) -> str:
    if reading.refusal:
        return "rejected"
    return "accepted" if reading.shares else "empty"


def as_document(file: str, reading: Reading) -> dict[str, Any]:
    """A file's verdict for programs."""
    refusal = reading.refusal
    return {
        "file": file,
        "verdict": _verdict(reading),
        "format": reading.format,
        "reason": refusal.reason.value if refusal else None,
        "records": reading.records,
        "unparsable": reading.unparsable,
        "days": {day.isoformat(): share.records for day, share in sorted(reading.shares.items())},
        "warnings": list(reading.warnings),
        "place": (refusal.place or None) if refusal else None,
        "refused": [
            {"line": record.line, "reason": record.reason.value, "text": record.text} for record in reading.refused
        ],
    }


def _tell(judged: Sequence[tuple[str, Reading]], say: Say) -> None:
    """A row a file, then what is wrong with those with which something is."""
    say.rows("Verdicts", [_row(file, reading) for file, reading in judged])
    for file, reading in judged:
        if reading.refusal or reading.refused:
            _explain(shown(file), reading, say)


def _row(file: str, reading: Reading) -> dict[str, Any]:
    document = as_document(file, reading)
    days = list(document["days"])
    return {
        "file": file,
        **{name: document[name] for name in ("verdict", "format", "records", "unparsable")},
        "days": f"{days[0]} ... {days[-1]} ({len(days)})" if len(days) > 1 else "".join(days),
        "remarks": ", ".join(filter(None, (document["reason"], *reading.warnings))),
    }


def _explain(file: str, reading: Reading, say: Say) -> None:
    """Why the file, or which of its records, would be refused."""
    if refusal := reading.refusal:
        place = f" ({shown(refusal.place)})" if refusal.place else ""
        say.note(f"{file} would be rejected, {refusal.reason}{place}: {refusal.reason.meaning}")
    if reading.refused:
        more = reading.unparsable - len(reading.refused)
        say.note(f"{file}: refused records" + (f", the first of {reading.unparsable:,}" if more > 0 else ""))
    for record in reading.refused:
        say.note(f"  line {record.line:,}, {record.reason}: {record.reason.meaning}")
        say.note(_INDENT + cut(record.text, len(_INDENT)))
    say.note()
