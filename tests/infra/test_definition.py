"""What must hold for the state machine's definition before anything runs it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from atlas import ledger
from atlas.settings import JobSettings
from stacks.config import StageConfig, read_context
from stacks.orchestration import (
    DEFINITION,
    JOB_GRACE_SECONDS,
    START_RETRY_SECONDS,
    definition,
    lock_seconds,
)
from tests.infra.conftest import STAGES

Json = dict[str, Any]


def _machines(machine: Json) -> Iterator[Json]:
    """The machine and those inside its Maps."""
    yield machine
    for state in machine["States"].values():
        if "ItemProcessor" in state:
            yield from _machines(state["ItemProcessor"])


MACHINES = list(_machines(json.loads(DEFINITION.read_text())))
TASKS = {
    name: state for machine in MACHINES for name, state in machine["States"].items() if state["Type"] == "Task"
}


def _targets(state: Json) -> set[str]:
    followers = [state, *state.get("Choices", []), *state.get("Catch", [])]
    named = {each["Next"] for each in followers if "Next" in each}
    return named | ({state["Default"]} if "Default" in state else set())


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine["StartAt"])
def test_every_target_exists_and_every_state_is_reached(machine: Json) -> None:
    states = machine["States"]
    reached: set[str] = set()
    ahead = {machine["StartAt"]}
    while ahead:
        name = ahead.pop()
        assert name in states, f"{name} is not a state"
        reached.add(name)
        ahead |= _targets(states[name]) - reached
    assert reached == set(states)


def test_names_of_states_are_unique_in_the_whole_machine() -> None:
    names = [name for machine in MACHINES for name in machine["States"]]
    assert len(names) == len(set(names))
    assert max(map(len, names)) <= 80


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_timeout_and_retries(name: str) -> None:
    assert TASKS[name]["TimeoutSeconds"]
    assert TASKS[name]["Retry"]


@pytest.mark.parametrize("name", ["Normalize", "Aggregate"])
def test_a_job_s_own_failure_is_not_retried(name: str) -> None:
    retried = {error for retry in TASKS[name]["Retry"] for error in retry["ErrorEquals"]}
    assert not retried & {"States.TaskFailed", "States.ALL", "States.Timeout"}


@pytest.mark.parametrize("name", ["Normalize", "Aggregate"])
def test_a_job_gets_its_settings(name: str) -> None:
    by_stack = {"--bucket", "--ledger_table", "--topic_arn"}
    given = set(TASKS[name]["Arguments"]["Arguments"])
    assert by_stack | given == {f"--{field}" for field in JobSettings.__dataclass_fields__}


def _waits(retry: Json) -> float:
    waits, wait = 0.0, retry["IntervalSeconds"]
    for _ in range(retry["MaxAttempts"]):
        waits += min(wait, retry["MaxDelaySeconds"])
        wait *= retry["BackoffRate"]
    return waits


@pytest.mark.parametrize("name", ["Normalize", "Aggregate"])
def test_waiting_for_a_job_s_start_is_bounded(name: str) -> None:
    assert sum(map(_waits, TASKS[name]["Retry"])) <= START_RETRY_SECONDS


@pytest.mark.parametrize("stage", STAGES)
def test_the_lock_outlives_the_longest_run(stage: str) -> None:
    config = StageConfig.load(stage, read_context())
    job = config.jobs.timeout_minutes * 60 + JOB_GRACE_SECONDS
    assert f'"TimeoutSeconds": {job}' in definition(config)
    assert lock_seconds(config) > 2 * (job + START_RETRY_SECONDS)


@pytest.mark.parametrize("name", [name for name in TASKS if "dynamodb" in TASKS[name]["Resource"]])
def test_no_expression_uses_a_reserved_word_of_dynamodb(name: str) -> None:
    arguments = TASKS[name]["Arguments"]
    if isinstance(arguments, str):  # an expression that makes them
        found = re.findall(r"\w+Expression': '(.*?)'", arguments)
    else:
        found = [value for key, value in arguments.items() if key.endswith("Expression")]
    assert found
    reserved = set(ReservedKeywords.get_reserved_keywords())
    grammar = {"SET", "REMOVE", "ADD", "AND", "OR", "NOT"}
    expressions = " ".join(found)
    words = {word.strip("(),") for word in expressions.replace("(", " ").split()}
    plain_words = {word for word in words if word.isidentifier() and word not in grammar}
    assert not {word for word in plain_words if word.upper() in reserved}


def test_the_machine_and_the_ledger_agree_on_names() -> None:
    find = TASKS["Find dirty days"]["Arguments"]
    assert f"{ledger.DIRTY} = :dirty" in find
    assert f"{{'S': '{ledger.DIRTY_VALUE}'}}" in find
    assert f"{{'#day': '{ledger.DAY}'}}" in find
    assert set(TASKS["Lock the day"]["Arguments"]["Key"]) == {ledger.PK, ledger.SK}
    assert TASKS["Lock the day"]["Arguments"]["Key"][ledger.SK]["S"] == ledger.STATE


def test_every_placeholder_is_filled(prod: Any) -> None:
    machine = prod.one("AWS::StepFunctions::StateMachine")
    text = machine["DefinitionString"]
    for name in machine["DefinitionSubstitutions"]:
        assert f"${{{name}}}" in text
        text = text.replace(f"${{{name}}}", "")
    assert "${" not in text
    assert json.loads(machine["DefinitionString"])["QueryLanguage"] == "JSONata"
