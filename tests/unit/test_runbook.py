"""The runbook speaks of all that can happen, of nothing else, and names only what there is."""

from __future__ import annotations

import re

import botocore.session
import pytest
from botocore import xform_name

from atlas.metrics import ALARMS
from atlas.names import Names
from atlas.reasons import FileReason, RecordReason
from atlas_cli.main import _parser
from atlas_cli.project import ROOT
from stacks.orchestration import DEFINITION
from tests import runbook

CHAPTERS = {"runbook", "the-alarms", "what-else-happens", "why-a-file-was-refused", "why-a-record-was-refused"}
ELSE = {
    "a-day-stays-dirty": ("atlas/ledger.py", "dirty"),
    "a-lock-that-nobody-holds": ("statemachine/daily.asl.json", "lock_expires"),
    "a-day-too-large-for-the-function": ("lambda_day/limits.py", "DayTooLargeError"),
    "a-crawl-failed": ("statemachine/daily.asl.json", "Atlas.CrawlFailed"),
    "objects-that-are-gone-or-damaged": ("atlas/restore.py", "ValidatedGoneError"),
    "a-leaked-secret": ("atlas_cli/client.py", "rotate_secret"),
    "access-denied-and-the-key": ("stacks/key.py", "kms.Key"),
    "the-budget": ("stacks/budget.py", "budgets"),
    "a-query-was-cancelled": ("stacks/workgroup.py", "bytes_scanned_cutoff_per_query"),
    "a-file-without-a-message": ("stacks/queues.py", "retention_period"),
}
"""Sections about what is no alarm and no reason, each with what it is about: where that goes, the section goes."""
PLACEHOLDERS = {"DAY": "2024-11-29"}


def test_each_alarm_and_each_reason_has_its_section_and_no_section_is_about_nothing() -> None:
    sections = list(runbook.sections())
    assert len(sections) == len(set(sections))
    reasons = {word for section in sections for word in section.split("-and-") if "_" in word}
    assert reasons == {*FileReason, *RecordReason}
    named = {section for section in sections if "_" not in section}
    assert named == {*CHAPTERS, *ALARMS, *ELSE}
    for place, what in ELSE.values():
        assert what in (ROOT / place).read_text(), place


def test_every_alarm_is_in_the_table_at_the_top_and_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(#([^)]+)\)", runbook.text())
    assert set(links) <= runbook.sections().keys()
    table = re.findall(r"^\| \[(\S+)\]\(#(\S+)\) \|", runbook.sections()["runbook"], flags=re.MULTILINE)
    assert table == [(alarm, alarm) for alarm in ALARMS]
    for page in re.findall(r"\]\(([^)#]+)\)", runbook.text()):
        assert (runbook.PAGE.parent / page).exists(), page


def test_it_speaks_of_every_error_of_the_state_machine_and_of_none_that_is_gone() -> None:
    of_the_machine = set(re.findall(r"Atlas\.[A-Z]\w+", DEFINITION.read_text()))
    assert set(re.findall(r"Atlas\.[A-Z]\w+", runbook.text())) == of_the_machine
    named = set(re.findall(r"`(\w+Error)`", runbook.text()))
    code = "".join(path.read_text() for folder in ("atlas", "lambda_*") for path in ROOT.glob(f"{folder}/*.py"))
    assert named <= set(re.findall(r"^class (\w+Error)\(", code, flags=re.MULTILINE))


@pytest.mark.parametrize("words", runbook.commands("atlas"), ids=" ".join)
def test_every_command_of_ours_is_one(words: list[str]) -> None:
    _parser().parse_args([PLACEHOLDERS.get(word, word) for word in words])


@pytest.mark.parametrize("words", runbook.commands("aws"), ids=lambda words: " ".join(words[:2]))
def test_every_call_of_aws_and_its_options_are_in_the_api(words: list[str]) -> None:
    service, operation, *rest = words
    options = {word.removeprefix("--") for word in rest if word.startswith("--")} - {"query", "output"}
    options = {option.removeprefix("no-") for option in options}  # what is true or false is written so
    if service == "s3":  # the command line's own
        assert (operation, options) == ("cp", {"metadata-directive"})
        return
    model = botocore.session.get_session().get_service_model(
        service.removesuffix("api") if service == "s3api" else service
    )
    known = {xform_name(name, "-"): model.operation_model(name) for name in model.operation_names}
    shape = known[operation].input_shape
    assert shape
    members = {xform_name(name, "-") for name in shape.members}
    assert options <= members


def test_whatever_of_atlas_it_names_is_called_so() -> None:
    names = Names("prod")
    called = {
        str(value) for name in dir(Names) if isinstance(getattr(Names, name), property)
        for value in [getattr(names, name)]
    }  # fmt: skip
    assert {f"atlas-{found}" for found in re.findall(r"atlas-([\w-]*prod)\b", runbook.text())} <= called
