"""Records that have a key twice: the last one counts, as for ingestion and Spark. DuckDB would not read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from atlas import envelope

_ENVELOPE = re.compile(envelope.RECORD_TEXT)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}:,]|[^][{}:,"]+', re.DOTALL)


def resolve(files: Iterable[Path], root: Path, target: Path) -> list[Path]:
    """Copies of envelopes, under `target` as they lie under `root`, no record with a key twice."""
    copies = []
    for file in files:
        copy = target / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with (
            file.open(encoding="utf-8", newline="\n") as lines,
            copy.open("w", encoding="utf-8", newline="") as out,
        ):
            out.writelines(map(_resolved, lines))
        copies.append(copy)
    return copies


def _resolved(line: str) -> str:
    found = _ENVELOPE.match(line.rstrip("\n"))
    if not found:
        return line
    start, end = found.span(2)
    return line[:start] + last_of_each_key(line[start:end]) + line[end:]


def last_of_each_key(record: str) -> str:
    """A JSON object, its members untouched, but of those with the same key only the last one.

    By tokens and not by a parser, which would spell numbers anew, and takes nested objects only so deep.
    """
    members: dict[str, str] = {}
    depth, key, begins, before = 0, None, 0, ""
    for token in _TOKEN.finditer(record):
        text = token.group()
        if depth == 1 and key is not None and text in (",", "}"):
            members[key] = record[begins : token.start()]
            key = None
        depth += (text in ("{", "[")) - (text in ("}", "]"))
        if depth == 1 and key is None and text == ":":
            key, begins = json.loads(before), token.end()
        before = text if text.strip() else before
    return "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in members.items()) + "}"
