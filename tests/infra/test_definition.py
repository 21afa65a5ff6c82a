"""What must hold for the state machine's definition before anything runs it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from atlas import lake, ledger
from atlas.metrics import METRICS, RUNS
from atlas.restore import ValidatedGoneError
from atlas.run_report import REPORT
from atlas.settings import JobSettings
from stacks.config import StageConfig, read_context
from stacks.orchestration import (
    DEFINITION,
    FUNCTION_CALLS,
    JOB_GRACE_SECONDS,
    MAX_DAYS,
    SHORT_CALLS_SECONDS,
    START_RETRY_SECONDS,
    WEIGH_FILES,
    WEIGH_PAGES,
    definition,
    lock_seconds,
)
from tests.infra.conftest import STAGES
from tests.infra.state_machine_server import OUTGROWN

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


def _assigned(machine: Json) -> set[str]:
    states = machine["States"].values()
    places = [place for state in states for place in (state, *state.get("Choices", []), *state.get("Catch", []))]
    return {name for place in places for name in place.get("Assign", {})}


def test_no_variable_inside_a_map_has_the_name_of_one_outside() -> None:
    """AWS refuses such a definition; the emulator does not."""
    outer, *inner = MACHINES
    assert _assigned(outer)
    for machine in inner:
        assert not _assigned(outer) & _assigned(machine)


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
    by_stack = {"--bucket", "--ledger_table", "--topic_arn", "--ingest_queue", "--metrics_namespace"}
    given = set(TASKS[name]["Arguments"]["Arguments"])
    assert by_stack | given == {f"--{field}" for field in JobSettings.__dataclass_fields__}


def _waits(retry: Json) -> float:
    """All waits of a retrier; a jitter only makes them shorter."""
    waits, wait = 0.0, retry.get("IntervalSeconds", 1)
    for _ in range(retry["MaxAttempts"]):
        waits += min(wait, retry["MaxDelaySeconds"])
        wait *= retry["BackoffRate"]
    return waits


def _longest(name: str) -> float:
    """How long a task can take with all its attempts, each of which is ended by its timeout."""
    task = TASKS[name]
    attempts = 1 + sum(retry["MaxAttempts"] for retry in task["Retry"])
    return float(attempts * task["TimeoutSeconds"] + sum(map(_waits, task["Retry"])))


LONG_TASKS = {"Run the function", "Normalize", "Aggregate"}


def _reached(machine: Json, start: str) -> set[str]:
    """The states that come after one, itself included if there is a way back to it."""
    ahead, reached = _targets(machine["States"][start]), set()
    while ahead:
        reached.add(name := ahead.pop())
        ahead |= _targets(machine["States"][name]) - reached
    return reached


def test_a_day_s_short_calls_take_no_longer_than_the_lock_allows_for() -> None:
    days = MACHINES[1]
    released = _reached(days, "Is there work of Glue to count")
    assert not {"Run the function", "Normalize", "Release the published day"} & released
    short = [name for name in days["States"] if name in TASKS and name not in LONG_TASKS | released]
    assert "Lock the day" in short
    times = {name: WEIGH_PAGES if name == "Weigh the day" else 1 for name in short}
    assert sum(times[name] * _longest(name) for name in short) <= SHORT_CALLS_SECONDS


@pytest.mark.parametrize("name", ["Normalize", "Aggregate", "Run the function"])
def test_waiting_for_a_job_s_start_is_bounded(name: str) -> None:
    assert sum(map(_waits, TASKS[name]["Retry"])) <= START_RETRY_SECONDS


@pytest.mark.parametrize("stage", STAGES)
def test_the_lock_outlives_the_longest_run(stage: str) -> None:
    config = StageConfig.load(stage, read_context())
    job = config.jobs.timeout_minutes * 60 + JOB_GRACE_SECONDS
    assert f'"TimeoutSeconds": {job}' in definition(config)
    function = FUNCTION_CALLS * config.day.timeout_seconds
    jobs = 2 * (job + START_RETRY_SECONDS)
    assert lock_seconds(config) > SHORT_CALLS_SECONDS + function + START_RETRY_SECONDS + jobs


def test_the_function_is_called_no_more_often_than_the_lock_allows_for() -> None:
    throttled, lost, gone = TASKS["Run the function"]["Retry"]
    assert throttled["ErrorEquals"] == ["Lambda.TooManyRequestsException"]  # a call that did not happen
    assert lost["MaxAttempts"] == FUNCTION_CALLS - 1
    assert gone["ErrorEquals"] == [ValidatedGoneError.__name__]  # a call that ended before its work began


@pytest.mark.parametrize("stage", STAGES)
def test_the_function_is_waited_for_until_lambda_itself_has_ended_it(stage: str) -> None:
    config = StageConfig.load(stage, read_context())
    days = json.loads(definition(config))["States"]["Process the days"]["ItemProcessor"]["States"]
    assert days["Run the function"]["TimeoutSeconds"] > config.day.timeout_seconds


def test_the_errors_that_say_that_a_day_is_too_large_are_those_that_the_runs_are_tried_with() -> None:
    outgrown, failed = TASKS["Run the function"]["Catch"]
    assert outgrown["ErrorEquals"] == list(OUTGROWN.values())
    assert failed["ErrorEquals"] == ["States.ALL"]


COUNTING = {
    "Note the first day": "Find dirty days",
    "Look at yesterday": "Find dirty days",
    "Tell how fresh gold is": "Find dirty days",
    "Count the failover": "Normalize",
    "Count the work of Glue": "Is there work of Glue to count",
}


@pytest.mark.parametrize(("name", "goes_on"), COUNTING.items(), ids=COUNTING)
def test_what_cannot_be_counted_goes_on_all_the_same(name: str, goes_on: str) -> None:
    [caught] = TASKS[name]["Catch"]
    assert (caught["ErrorEquals"], caught["Next"]) == (["States.ALL"], goes_on)
    assert goes_on == TASKS[name]["Next"] or goes_on in _reached(MACHINES[0], TASKS[name]["Next"])


def test_every_task_that_counts_goes_on_if_it_fails() -> None:
    assert {name for name in TASKS if "cloudwatch" in TASKS[name]["Resource"]} < set(COUNTING)


def test_work_of_glue_is_counted_once() -> None:
    count = TASKS["Count the work of Glue"]
    assert count["Assign"] == count["Catch"][0]["Assign"] == {"glue_failures": 0, "dpu_seconds": 0}


def test_the_machine_puts_the_metrics_that_are_its_own() -> None:
    put = [
        datum
        for task in TASKS.values()
        if task["Resource"].endswith("putMetricData")
        for datum in task["Arguments"]["MetricData"]
    ]
    own = [metric for metric in METRICS if metric.service == RUNS]
    assert sorted(datum["MetricName"] for datum in put) == sorted(metric.name for metric in own)
    for metric in own:
        [datum] = [datum for datum in put if datum["MetricName"] == metric.name]
        assert datum == {**metric.datum(0), "Value": datum["Value"]}


def test_the_notice_of_a_failure_is_no_report_so_that_people_are_mailed() -> None:
    assert REPORT not in TASKS["Tell of the failure"]["Arguments"].get("MessageAttributes", {})


def test_a_weighing_keeps_within_what_a_state_and_an_execution_may_hold() -> None:
    file = json.dumps({"share": {"M": {"bytes": {"N": str(10**12)}}}})
    last_key = json.dumps({"pk": {"S": "DAY#2024-11-29"}, "sk": {"S": "FILE#" + "\x01" * lake.MAX_KEY_BYTES}})
    assert WEIGH_FILES * (len(file) + 1) + len(last_key) + 100 < 256 * 1024
    events_of_a_day, events_of_a_page = 100, 7
    assert MAX_DAYS * (events_of_a_day + WEIGH_PAGES * events_of_a_page) < 25_000


@pytest.mark.parametrize("name", [name for name in TASKS if "dynamodb" in TASKS[name]["Resource"]])
def test_no_expression_uses_a_reserved_word_of_dynamodb(name: str) -> None:
    arguments = TASKS[name]["Arguments"]
    if isinstance(arguments, str):  # an expression that makes them
        found = re.findall(r"\w+Expression': '(.*?)'", arguments)
        found += re.findall(r"' (AND .*?)'", _not_in_vain()) if "$not_in_vain" in arguments else []
    else:
        found = [value for key, value in arguments.items() if key.endswith("Expression")]
    assert found
    reserved = set(ReservedKeywords.get_reserved_keywords())
    grammar = {"SET", "REMOVE", "ADD", "AND", "OR", "NOT"}
    expressions = " ".join(found)
    words = {word.strip("(),") for word in expressions.replace("(", " ").split()}
    plain_words = {word for word in words if word.isidentifier() and word not in grammar}
    assert not {word for word in plain_words if word.upper() in reserved}


def _not_in_vain() -> str:
    return str(MACHINES[0]["States"]["Spell the days out"]["Assign"]["not_in_vain"])


def test_the_machine_and_the_ledger_agree_on_names() -> None:
    find = TASKS["Find dirty days"]["Arguments"]
    assert f"{ledger.DIRTY} = :dirty" in find
    assert f"{{'S': '{ledger.DIRTY_VALUE}'}}" in find
    assert f"{{'#day': '{ledger.DAY}'}}" in find
    assert set(TASKS["Lock the day"]["Arguments"]["Key"]) == {ledger.PK, ledger.SK}
    assert TASKS["Lock the day"]["Arguments"]["Key"][ledger.SK]["S"] == ledger.STATE
    weigh = TASKS["Weigh the day"]["Arguments"]
    assert f"'{ledger.PK} = :day AND begins_with({ledger.SK}, :file)'" in weigh
    assert "'ProjectionExpression': '#share.#bytes'" in weigh
    day, key = date(2024, 11, 29), ledger.day_file_key(date(2024, 11, 29), "")
    assert "{'S': 'DAY#' & $states.input.process_date}, ':file': {'S': 'FILE#'}" in weigh
    assert key == {ledger.PK: f"DAY#{day}", ledger.SK: "FILE#"}
    assert f"attribute_not_exists({ledger.FAILURES}) OR {ledger.FAILURES} < :most" in _not_in_vain()
    assert f"attribute_exists({ledger.PUBLISHING})" in _not_in_vain()
    assert TASKS["Release the failed day"]["Arguments"]["UpdateExpression"].endswith(f"ADD {ledger.FAILURES} :one")
    for name in ("Release the published day", "Release the day, still dirty"):
        assert TASKS[name]["Arguments"]["UpdateExpression"].endswith(f", {ledger.FAILURES}")
    first, look = TASKS["Note the first day"]["Arguments"], TASKS["Look at yesterday"]["Arguments"]
    assert first["Key"] == {name: {"S": value} for name, value in ledger.STAGE_KEY.items()}
    assert first["UpdateExpression"] == f"SET {ledger.FIRST_DAY} = if_not_exists({ledger.FIRST_DAY}, :today)"
    assert look["KeyConditionExpression"] == f"{ledger.PK} = :day AND {ledger.SK} = :its_state"
    assert look["ExpressionAttributeValues"][":its_state"] == {"S": ledger.STATE}
    for name in ("Release the published day", "Release the day, still dirty"):
        assert f"{look['ProjectionExpression']} = :at" in TASKS[name]["Arguments"]["UpdateExpression"]
    file = ledger.DayFile(day, "raw/x", "ndjson", "v", "", ledger.Share(bytes=7)).to_item()
    assert file["share"]["bytes"] == 7


def test_every_placeholder_is_filled(prod: Any) -> None:
    machine = prod.one("AWS::StepFunctions::StateMachine")
    text = machine["DefinitionString"]
    for name in machine["DefinitionSubstitutions"]:
        assert f"${{{name}}}" in text
        text = text.replace(f"${{{name}}}", "")
    assert "${" not in text
    assert json.loads(machine["DefinitionString"])["QueryLanguage"] == "JSONata"
