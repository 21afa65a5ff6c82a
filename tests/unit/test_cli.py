"""What the command says and how it exits, where no cloud is needed. tests/e2e has the rest."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from atlas.file_entry import FileEntry
from atlas.ledger import FileState
from atlas_cli.console import CommandError, Say
from atlas_cli.local import emulator
from atlas_cli.main import main
from atlas_cli.put import raw_keys, verdict_row
from atlas_cli.run import request

FRIDAY, SATURDAY = date(2024, 11, 29), date(2024, 11, 30)


VERBS = [
    ["status"], ["books"], ["run"], ["query", "books"], ["refusals"], ["replay"], ["withdraw", "raw/x.log"],
    ["dead-letters"], ["books", "--file", "raw/x.log"],
]  # fmt: skip


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_without_a_local_cloud_the_command_fails_and_says_how_to_get_one(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(emulator, "running", lambda _: None)
    assert main(words) == 1
    assert "atlas up" in capsys.readouterr().err


def test_rows_come_as_one_json_object_a_line_if_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["generate", str(tmp_path), "--records", "200", "--day", "2024-11-29", "--json"]
    assert main(words) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows
    assert all((tmp_path / row["file"]).is_file() for row in rows)


def test_a_day_that_is_none_is_refused_before_anything_happens(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--date", "29.11.2024"])
    assert ended.value.code == 2
    assert "expected YYYY-MM-DD" in capsys.readouterr().err


def test_the_options_of_run_are_the_state_machines_requests() -> None:
    assert request(None, None, None) == {}
    assert request(FRIDAY, None, None) == {"process_date": "2024-11-29"}
    assert request(None, FRIDAY, SATURDAY) == {"from": "2024-11-29", "to": "2024-11-30"}
    with pytest.raises(CommandError, match="--from and --to go together"):
        request(None, FRIDAY, None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["raw/x.log", "--date", "2024-11-29"], "replay takes files or days, not both"),
        (["--salvage", "--from", "2024-11-29", "--to", "2024-11-30"], "replay takes files or days, not both"),
        (["--engine", "glue"], "--engine goes with --date"),
        (["--from", "2024-11-29"], "--from and --to go together"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_replay_takes_files_or_days(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", *words]) == 1
    assert message in capsys.readouterr().err


def test_what_others_wrote_does_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Say().rows("Rows", [{"file": "raw/\x1b[2J\nx", "why": "[bold]"}])
    said = capsys.readouterr().out
    assert "raw/\\x1b[2J\\nx" in said
    assert "[bold]" in said


def test_files_keep_their_names_under_the_prefix_and_never_overwrite_each_other(tmp_path: Path) -> None:
    one, other = tmp_path / "a.log", tmp_path / "b" / "a.log"
    other.parent.mkdir()
    one.touch()
    other.touch()
    assert raw_keys([one], "/app_log/") == {"raw/app_log/a.log": one}
    assert raw_keys([one], "") == {"raw/a.log": one}
    with pytest.raises(CommandError, match="would both be raw/a.log"):
        raw_keys([one, other], "")
    with pytest.raises(CommandError, match="is not a file"):
        raw_keys([tmp_path], "")


def test_a_refusal_is_told_with_its_place_and_its_meaning() -> None:
    entry = FileEntry(
        "raw/a.json", "v", "1", FileState.REJECTED, "hash", 7, "2024-11-29T00:00:00Z", "rejected/a",
        reason="malformed_json", place="character 5",
    )  # fmt: skip
    row = verdict_row(entry)
    assert (row["verdict"], row["records"]) == ("rejected", 0)
    assert row["why"].startswith("malformed_json (character 5): The JSON's outer structure breaks")
