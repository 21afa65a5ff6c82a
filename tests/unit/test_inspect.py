"""`atlas inspect` says what the Lambda does, to programs and to people, and leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from atlas.ledger import FileState
from atlas.reasons import RecordReason
from atlas_cli import inspect as verb
from atlas_cli.generate import generate
from atlas_cli.main import main
from lambda_ingest.ingest import Verdict
from lambda_ingest.read import Reading, read_file
from tests.lake_under_test import FRIDAY, LakeUnderTest

KEYS = ["file", "verdict", "format", "reason", "records", "unparsable", "days", "warnings", "place", "refused"]
VERDICTS = {
    FileState.INGESTED: "accepted",
    FileState.DUPLICATE: "accepted",  # which bytes the lake has already, only the lake knows
    FileState.EMPTY: "empty",
    FileState.REJECTED: "rejected",
}


def record(day: int, **more: Any) -> bytes:
    fields = {"timestamp": f"2024-11-{day}T10:00:00Z", "ip": "192.0.2.1", "status": 200, "endpoint": "/"}
    return json.dumps({**fields, **more}).encode()


def archive() -> bytes:
    with zipfile.ZipFile(body := io.BytesIO(), "w") as made:
        made.writestr("access.ndjson", record(29))
    return body.getvalue()


GOOD = b"\n".join([record(29), record(30), record(30, endpoint="/a")])
TIMELESS = b"\n".join(record(29, timestamp=f"no {number}") for number in range(7))
ERROR = b"<error><errorTime>2024-11-29T10:00:00Z</errorTime><errorCode>500</errorCode></error>"
FILES = {
    "good.ndjson": GOOD,
    "good.json.gz": gzip.compress(GOOD),
    "array.json": b"[" + GOOD.replace(b"\n", b",") + b"]",
    "errors.xml": ERROR.join([b"<errors>", b"</errors>"]),
    "nothing.ndjson": b"",
    "nothing.json.gz": gzip.compress(b"\n"),
    "no_items.json": b"[]",
    "warned.ndjson.gz": gzip.compress(GOOD) + b"garbage",
    "partly.ndjson": b"\n".join([record(30), b"{broken", b"\xff", record(29, timestamp="never"), record(29)]),
    "zipped.zip": archive(),
    "cut.json.gz": gzip.compress(GOOD)[:-10],
    "cut.json": b"[" + record(29) + b",",
    "prose.txt": b"Dear all,\nno log.\n",
    "unknown.json": b'{"a": 1}',
    "timeless.ndjson": TIMELESS,
}  # fmt: skip


def written(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).write_bytes(FILES[name])
    return [str(folder / name) for name in names]


def inspected(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["inspect", "--json", *words]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["inspect", *words]) == 0
    return capsys.readouterr().out


def done(verdict: Verdict) -> dict[str, Any]:
    """What the Lambda did, in inspect's words."""
    entry, reading = verdict.entry, verdict.reading
    assert entry
    assert reading
    return {
        "verdict": VERDICTS[entry.state],
        "format": entry.format,
        "reason": entry.reason,
        "records": sum(share.records for share in reading.shares.values()),
        "unparsable": sum(share.unparsable for share in reading.shares.values()),
        "days": {day.isoformat(): share.records for day, share in reading.shares.items()},
        "warnings": list(reading.warnings),
        "place": entry.place,
    }


def agreed(row: Mapping[str, Any], verdict: Verdict) -> bool:
    did = done(verdict)
    assert {name: row[name] for name in did} == did
    return True


@pytest.mark.parametrize("name", FILES)
def test_what_inspect_says_is_what_the_lambda_does(
    name: str, tmp_path: Path, lake: LakeUnderTest, capsys: pytest.CaptureFixture[str]
) -> None:
    [row] = inspected(capsys, *written(tmp_path, name))
    assert agreed(row, lake.drop(f"raw/{name}", FILES[name]))


def test_the_files_stand_for_every_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {Path(row["file"]).name: row for row in inspected(capsys, *written(tmp_path, *FILES))}
    assert {name: row["verdict"] for name, row in rows.items() if row["verdict"] != "accepted"} == {
        **dict.fromkeys(("nothing.ndjson", "nothing.json.gz", "no_items.json"), "empty"),
        **dict.fromkeys(
            ("zipped.zip", "cut.json.gz", "cut.json", "prose.txt", "unknown.json", "timeless.ndjson"), "rejected"
        ),
    }
    assert rows["warned.ndjson.gz"]["warnings"] == ["trailing_garbage"]
    assert (rows["partly.ndjson"]["records"], rows["partly.ndjson"]["unparsable"]) == (2, 3)
    assert rows["partly.ndjson"]["days"] == {"2024-11-29": 1, "2024-11-30": 1}


def test_generated_files_of_every_format_are_judged_as_the_lambda_does(
    tmp_path: Path, lake: LakeUnderTest, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = generate(tmp_path, days=[FRIDAY], records_per_day=200)
    rows = inspected(capsys, *(str(tmp_path / file.path) for file in truth.files))
    for row, file in zip(rows, truth.files, strict=True):
        assert agreed(row, lake.drop(f"raw/{Path(file.path).name}", (tmp_path / file.path).read_bytes()))
        assert VERDICTS[file.state] == row["verdict"]


def test_the_prefix_decides_as_the_folder_under_raw_does(
    tmp_path: Path, lake: LakeUnderTest, capsys: pytest.CaptureFixture[str]
) -> None:
    [path] = written(tmp_path, "good.ndjson")
    [plain], [foldered] = inspected(capsys, path), inspected(capsys, path, "--prefix", "/json_gzip/")
    assert (plain["format"], foldered["format"]) == ("ndjson", "json_gzip")
    assert agreed(foldered, lake.drop("raw/json_gzip/good.ndjson", FILES["good.ndjson"]))


def test_the_json_has_these_keys_in_the_order_of_the_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, "timeless.ndjson", "good.ndjson")
    monkeypatch.chdir(tmp_path)
    timeless, good, again = inspected(capsys, "timeless.ndjson", "./good.ndjson", "good.ndjson")
    assert [list(row) for row in (timeless, good)] == [KEYS, KEYS]
    assert [row["file"] for row in (timeless, good, again)] == ["timeless.ndjson", "./good.ndjson", "good.ndjson"]
    assert good == {
        "file": "./good.ndjson", "verdict": "accepted", "format": "ndjson", "reason": None,
        "records": 3, "unparsable": 0, "days": {"2024-11-29": 1, "2024-11-30": 2},
        "warnings": [], "place": None, "refused": [],
    }  # fmt: skip
    assert (timeless["verdict"], timeless["reason"]) == ("rejected", "no_event_time")
    assert (timeless["records"], timeless["unparsable"], timeless["days"]) == (0, 0, {})
    assert timeless["refused"][0] == {
        "line": 1, "reason": "no_event_time", "text": TIMELESS.splitlines()[0].decode(),
    }  # fmt: skip


def test_each_file_is_told_before_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []

    def reading(*words: Any) -> Reading:
        told.append(capsys.readouterr().out.count("\n"))
        return read_file(*words)

    monkeypatch.setattr(verb, "read_file", reading)
    main(["inspect", "--json", *written(tmp_path, "good.ndjson", "zipped.zip", "nothing.ndjson")])
    assert told == [0, 1, 1]


def test_a_line_of_json_stays_one_line_whatever_a_refused_record_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = "{\u2028 \x85 \x1b[31m \x0c é"
    path = tmp_path / "nasty.ndjson"
    path.write_bytes(record(29) + b"\n" + nasty.encode())
    [row] = inspected(capsys, str(path))
    assert [refused["text"] for refused in row["refused"]] == [nasty]


@pytest.mark.parametrize("json_words", [[], ["--json"]], ids=["people", "json"])
def test_a_path_that_is_no_readable_file_is_named_after_all_others_were_judged(
    json_words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, broken, zipped = written(tmp_path, "good.ndjson", "warned.ndjson.gz", "zipped.zip")

    def reading(stream: Any, raw_key: str, *more: Any) -> Reading:
        if raw_key.endswith("warned.ndjson.gz"):
            raise OSError(5, "Input/output error")
        return read_file(stream, raw_key, *more)

    monkeypatch.setattr(verb, "read_file", reading)
    missing = str(tmp_path / "missing.log")
    assert main(["inspect", *json_words, missing, good, str(tmp_path), broken, zipped]) == 1
    told = capsys.readouterr()
    assert f"{missing} is not a file" in told.err
    assert f"{tmp_path} is not a file" in told.err
    assert f"{broken} cannot be judged: Input/output error" in told.err
    assert good in told.out
    assert zipped in told.out
    assert missing not in told.out
    assert broken not in told.out


def test_without_a_file_the_command_is_told_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["inspect", "--json"])
    assert ended.value.code == 2
    assert "FILE" in capsys.readouterr().err


@pytest.mark.parametrize("end", [None, KeyboardInterrupt], ids=["done", "interrupted"])
def test_nothing_is_left_on_the_scratch_disk(
    end: type[BaseException] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    seen = []

    def reading(*words: Any) -> Reading:
        answer = read_file(*words)
        seen.append([path.name for folder in scratch.iterdir() for path in folder.iterdir()])
        if end:
            raise end
        return answer

    monkeypatch.setattr(verb, "read_file", reading)
    assert main(["inspect", *written(tmp_path, "good.ndjson")]) == (130 if end else 0)
    assert seen[0]
    assert list(scratch.iterdir()) == []


def test_a_file_in_which_all_is_well_takes_one_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, *written(tmp_path, "good.ndjson", "nothing.ndjson", "warned.ndjson.gz")).splitlines()
    title, head, good, nothing, warned, *rest = (line.split() for line in lines)
    assert (title, rest) == (["Verdicts"], [[]])
    assert head == ["file", "verdict", "format", "records", "unparsable", "days", "remarks"]
    assert good[1:] == ["accepted", "ndjson", "3", "0", "2024-11-29", "...", "2024-11-30", "(2)"]
    assert nothing[1:] == ["empty", "0", "0"]
    assert warned[-1] == "trailing_garbage"


def test_people_are_told_the_first_few_refused_records_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    path = tmp_path / "access.ndjson"
    bad = [f"{{bad {number} [/b] \x1b[31m {'x' * 100}".encode() for number in range(1000)]
    path.write_bytes(b"\n".join([record(29), *bad]))
    told = said(capsys, str(path))
    first = next(number for number, line in enumerate(told.splitlines()) if line.startswith("  line "))
    line, text, *_ = told.splitlines()[first:]
    assert line == f"  line 2, malformed_record: {RecordReason.MALFORMED_RECORD.meaning}"
    assert text.startswith("    {bad 0 [/b] \\x1b[31m xxx")
    assert text.endswith("x…")
    assert len(text) == 60
    assert "the first of 1,000" in told
    assert told.count("  line ") == told.count("{bad ") <= 5


def test_people_are_told_why_a_file_would_be_rejected_and_where_the_fault_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut, timeless = written(tmp_path, "cut.json", "timeless.ndjson")
    told = said(capsys, cut, timeless)
    place = inspected(capsys, cut)[0]["place"]
    assert f"{cut} would be rejected, malformed_json ({place}): The JSON's outer structure breaks" in told
    assert f"{timeless} would be rejected, no_event_time" in told
    assert '    {"timestamp": "no 0"' in told


def test_names_and_texts_that_look_like_markup_are_shown_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a [b] [bold]\a.ndjson"
    path.write_bytes(b"[/etc/passwd] {broken\n" * 2)
    told = said(capsys, str(path), "--prefix", "ndjson")
    assert "a [b] [bold]\\x07.ndjson" in told
