"""A record with a key twice: the last one counts, and every value stays as it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.formats import load_formats
from lambda_day import repeated_keys
from lambda_day.repeated_keys import last_of_each_key
from tests.duckdb_engine import day_engine
from tests.reading_under_test import exact

blanks = st.text(" \t", max_size=2)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
names = st.sampled_from(["a", "b", "é", "", '"', "\\", "a:b", "{,}", "\U0001f600"]) | st.text(max_size=3)


@st.composite
def records(draw: st.DrawFn) -> str:
    """JSON objects with keys that come again, spelled in either way, and blanks anywhere."""
    members = []
    for name, value in draw(st.lists(st.tuples(names, values), max_size=6)):
        key = json.dumps(name, ensure_ascii=draw(st.booleans()))
        text = json.dumps(value, ensure_ascii=draw(st.booleans()))
        members.append(f"{draw(blanks)}{key}{draw(blanks)}:{draw(blanks)}{text}{draw(blanks)}")
    return "{" + ",".join(members) + "}"


@given(records())
def test_the_last_member_of_each_key_stays_as_it_was_written(record: str) -> None:
    resolved = exact(last_of_each_key(record))
    assert dict(resolved) == dict(exact(record))
    assert len(dict(resolved)) == len(resolved)


def test_however_deep_a_value_is() -> None:
    deep = "[" * 5_000 + "]" * 5_000
    assert last_of_each_key(f'{{"a": 1, "b": {deep}, "a": 2}}') == f'{{"a": 2,"b": {deep}}}'


@pytest.mark.parametrize(
    "line", ['{"line":1,"error":"malformed_record","raw":"{\\"a\\":1,\\"a\\":2}"}\n', "\n", "no json\n"]
)
def test_lines_without_a_record_stay(tmp_path: Path, line: str) -> None:
    file = tmp_path / "given" / "x"
    file.parent.mkdir()
    file.write_bytes(line.encode())
    [copy] = repeated_keys.resolve([file], tmp_path / "given", tmp_path / "resolved")
    assert copy.read_bytes().decode() == line


@pytest.mark.parametrize("path", ["level", "log.level"])
def test_duckdb_takes_such_records_for_what_ingestion_takes_them(tmp_path: Path, path: str) -> None:
    engine = day_engine(tmp_path / "scratch")
    file = engine.objects / "o"
    file.parent.mkdir(parents=True)
    header: dict[str, Any] = {"event_time": "2024-11-29T10:00:00Z", "line": 1, "record_id": "ab"}
    text = json.dumps(header)[:-1].replace(", ", ",").replace(": ", ":")
    file.write_text(f'{text},"record":{{"{path}":"a","message":"m","{path}":"b"}}}}\n')
    log_format = load_formats()["app_log"].only({path, "message"})
    with pytest.raises(duckdb.InvalidInputException):
        engine._read_fields(log_format, [file], engine.objects)
    engine.read(log_format, [file])
    [row] = engine.rows("SELECT * EXCLUDE (event_time) FROM input")
    assert "b" in row.values()
    assert "a" not in row.values()
