"""What `atlas cost` counts of templates and of the state machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from atlas_cli.cost import bill, figures
from stacks.orchestration import DEFINITION
from tests.infra.conftest import Synth

KNOWN = figures()
MACHINE = json.loads(DEFINITION.read_text())


def path(machine: Any, choices: Mapping[str, str]) -> list[str]:
    """The states that are entered, one after the other, if every choice is made as `choices` says."""
    states, name, entered = machine["States"], machine["StartAt"], []
    while name:
        entered.append(name)
        name = choices.get(name) or states[name].get("Next", "")
    return entered


def test_a_sweep_that_finds_nothing_enters_as_many_states_as_are_reckoned() -> None:
    found = path(
        MACHINE,
        {
            "Which form": "Check the days",
            "Are they days": "Spell the days out",
            "Are dirty days wanted": "Note the first day",
            "Are there more pages": "Put the days together",
            "Is there anything to do": "Nothing to do",
        },
    )
    assert len(found) == KNOWN["sweep_states"]


def test_a_day_s_run_in_the_function_enters_as_many_states_as_are_reckoned() -> None:
    in_the_map = path(
        MACHINE["States"]["Process the days"]["ItemProcessor"],
        {
            "Which engine": "Weigh the day",
            "Does it fit the function": "Run the function",
            "Is there work of Glue to count": "Report the published day",
        },
    )
    afterwards = ["Process the days", "Is a crawl due", "Did all go well", "Done"]
    assert set(afterwards) <= set(MACHINE["States"])
    assert len(in_the_map) + len(afterwards) - 1 == KNOWN["run_states"]  # its sweep has something to do


def test_a_crawl_enters_as_many_states_as_are_reckoned() -> None:
    """Two crawlers, each looked at every half minute for two minutes or less."""
    crawl = MACHINE["States"]["Crawl"]["ItemProcessor"]
    once = path(crawl, {"Has the crawl ended": "The crawl succeeded"})
    looks = [
        name for name in once if name in ("Wait for the crawler", "Look at the crawler", "Has the crawl ended")
    ]
    record = ["Crawl", "Record what was crawled", "Record the day's crawl"]
    assert 2 * (len(once) + 2 * len(looks)) + len(record) == KNOWN["crawl_states"]


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_what_is_paid_for_by_the_month_is_what_the_templates_have(stages: dict[str, Synth], stage: str) -> None:
    synth = stages[stage]
    watched = 0
    for alarm in synth.resources("AWS::CloudWatch::Alarm"):
        watched += sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1
    lines = {f"{line.service}, {line.what}": line.amount for line in bill(synth.config, 0, 0).lines}
    assert lines["CloudWatch, alarms"] == watched
    assert lines["CloudWatch, dashboard"] == len(synth.resources("AWS::CloudWatch::Dashboard"))
    assert lines["Secrets Manager, secrets"] == len(synth.resources("AWS::SecretsManager::Secret"))
    assert lines["KMS, key"] == len(synth.resources("AWS::KMS::Key"))


def test_the_forwarder_takes_as_many_requests_at_once_as_are_reckoned(prod: Synth) -> None:
    [source] = [
        each
        for each in prod.resources("AWS::Lambda::EventSourceMapping")
        if "MaximumBatchingWindowInSeconds" in each
    ]
    assert (source["BatchSize"], source["MaximumBatchingWindowInSeconds"]) == (
        KNOWN["forwarder_batch"],
        KNOWN["forwarder_window_seconds"],
    )
