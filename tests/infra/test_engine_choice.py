"""Which engine a day gets, and what `atlas run` tells of it: executed as in test_state_machine_runs.py."""

from __future__ import annotations

import json
from datetime import date

import pytest

from atlas.metrics import FAILOVERS
from atlas_cli.console import CommandError, Say
from atlas_cli.run import in_words, request, run
from atlas_cli.status import last_runs
from tests.infra import state_machine_server as jobs
from tests.infra.state_machine_world import MOST, PAGE, PAGES, Item, World

FUNCTION, JOBS = {"day"}, {"normalize", "aggregate"}


@pytest.mark.parametrize(
    ("sizes", "engine"),
    [
        ([], "lambda"),
        ([MOST], "lambda"),
        ([MOST - 1, 2], "glue"),
        ([MOST + 1, *[0] * PAGE], "glue"),
        ([MOST // 8] * 8, "lambda"),
        ([*[MOST // 8] * 8, 1], "glue"),
        ([1] * (PAGE * PAGES - 1), "lambda"),
        ([1] * (PAGE * PAGES + 1), "glue"),
    ],
    ids=[
        "no file",
        "one that just fits",
        "two that do not",
        "too large on the first page",
        "three pages that just fit",
        "a last file too many",
        "many files",
        "more files than are weighed",
    ],
)
def test_a_day_goes_to_the_engine_that_it_fits(world: World, sizes: list[int], engine: str) -> None:
    world.given_files("2024-11-28", MOST)  # another day's weight
    world.given("2024-11-29")
    world.given_files("2024-11-29", *sizes)
    told = world.run({"process_date": "2024-11-29", "engine": "auto"})["days"]["2024-11-29"]
    assert (told["outcome"], told["engine"], told.get("failed_over")) == ("published", engine, None)
    assert world.ran("2024-11-29") == (FUNCTION if engine == "lambda" else JOBS)
    assert world.state_of("2024-11-29")["last_engine"] == engine


@pytest.mark.parametrize(
    ("request_", "ran"),
    [
        ({"process_date": "2024-11-29", "engine": "lambda"}, FUNCTION),
        ({"process_date": "2024-11-29", "engine": "glue"}, JOBS),
        ({"engine": "lambda", "from": "2024-11-29", "to": "2024-11-29"}, FUNCTION),
        ({"sweep": True, "engine": "lambda"}, FUNCTION),
        ({"engine": "lambda", "scheduled_time": "2024-11-30T00:20:00Z"}, FUNCTION),
        ({"engine": "lambda"}, FUNCTION),
        ({"process_date": "2024-11-29"}, JOBS),
    ],
    ids=lambda words: " and ".join(sorted(words)) if isinstance(words, set) else str(words),
)
def test_a_request_may_name_the_engine_whatever_the_day_weighs_and_the_stage_says(
    world: World, request_: Item, ran: set[str]
) -> None:
    world.given("2024-11-29")
    world.given_files("2024-11-29", MOST + 1)
    assert world.run(request_)["days"]["2024-11-29"]["outcome"] == "published"
    assert world.ran("2024-11-29") == ran


def test_a_day_that_outgrows_the_function_goes_on_in_glue_says_why_and_is_counted(world: World) -> None:
    before = world.counted(FAILOVERS)
    execution = world.run({"process_dates": list(jobs.OUTGROWN), "engine": "auto"})
    assert execution["status"] == "SUCCEEDED"
    for day, error in jobs.OUTGROWN.items():
        told = execution["days"][day]
        assert (told["outcome"], told["engine"]) == ("published", "glue")
        assert told["failed_over"] == (error if error == "States.Timeout" else f"{error}: 7 of 3 GiB")
        assert world.ran(day) == FUNCTION | JOBS
        assert world.state_of(day)["last_engine"] == "glue"
    assert world.counted(FAILOVERS) - before == len(jobs.OUTGROWN)


def test_a_day_that_outgrows_the_function_and_fails_in_glue_says_both(world: World) -> None:
    day = jobs.OUTGROWN_AND_FAILS_IN_GLUE
    told = world.run({"process_date": day, "engine": "auto"})["days"][day]
    assert (told["outcome"], told["engine"], told["cause"]) == ("failed", "glue", 'the "books" are out by 3')
    assert told["failed_over"] == "DayTooLargeError: 7 of 3 GiB"


@pytest.mark.parametrize(("day", "error"), jobs.OUTGROWN.items())
def test_a_day_that_outgrows_the_function_and_may_go_nowhere_else_fails_and_says_what_to_do(
    world: World, day: str, error: str
) -> None:
    before = world.counted(FAILOVERS)
    told = world.run({"process_date": day, "engine": "lambda"})["days"][day]
    assert (told["outcome"], told["engine"], told["error"]) == ("failed", "lambda", error)
    assert "ask for the day with engine auto or glue" in told["cause"]
    assert world.ran(day) == FUNCTION
    state = world.state_of(day)
    assert (state["dirty"], state["last_result"], state["last_engine"]) == ("yes", "failed", "lambda")
    assert world.counted(FAILOVERS) == before


def test_what_fails_in_the_function_would_fail_in_glue_too_and_is_not_tried_there(world: World) -> None:
    day = jobs.FAILS_IN_THE_FUNCTION
    told = world.run({"process_date": day, "engine": "auto"})["days"][day]
    assert (told["outcome"], told["error"], told["cause"]) == ("failed", "BooksError", 'the "books" are out by 3')
    assert world.ran(day) == FUNCTION


def test_a_function_that_is_busy_is_waited_for(world: World) -> None:
    day = jobs.FUNCTION_BUSY_ONCE
    told = world.run({"process_date": day, "engine": "auto"})["days"][day]
    assert (told["outcome"], told["engine"]) == ("published", "lambda")


def test_atlas_run_tells_what_a_day_is_at_and_which_engine_did_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    large, small = "2024-12-01", "2024-12-31"
    days = request(None, date(2024, 12, 1), date(2024, 12, 1), "auto")
    forced = request(date(2024, 12, 31), None, None, "lambda")
    rows = [*run(world.cloud, days, Say()), *run(world.cloud, forced, Say())]
    why = "DayTooLargeError: 7 of 3 GiB"
    assert [(row["process_date"], row["engine"]) for row in rows] == [(large, "glue"), (small, "lambda")]
    assert in_words(rows).splitlines() == [
        f"Engine: DuckDB in one Lambda function, for {small}.",
        f"Engine: Spark in two Glue jobs, for {large}.",
        f"{large} had outgrown the function ({why}) and went on in Glue.",
    ]
    told = [line.partition("]   ")[2] for line in capsys.readouterr().err.splitlines() if "]   " in line]
    assert told == [
        f"{large}: function atlas-day-tests running",
        f"{large}: function atlas-day-tests failed",
        f"{large}: outgrew the function and goes on in Glue",
        f"{large}: Glue job atlas-normalize-tests running",
        f"{large}: Glue job atlas-normalize-tests succeeded",
        f"{large}: Glue job atlas-aggregate-tests running",
        f"{large}: Glue job atlas-aggregate-tests succeeded",
        f"{small}: function atlas-day-tests running",
        f"{small}: function atlas-day-tests succeeded",
    ]


def test_atlas_run_shows_the_days_of_a_run_that_failed_and_fails_itself(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    day = jobs.FAILS_IN_THE_FUNCTION
    with pytest.raises(CommandError, match=r"Atlas\.DayFailed: 0 of 1 days published"):
        run(world.cloud, {"process_date": day, "engine": "auto"}, Say(as_json=True))
    [row] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (row["process_date"], row["outcome"], row["engine"]) == (day, "failed", "lambda")
    with pytest.raises(CommandError, match="not an engine: spark"):
        run(world.cloud, {"engine": "spark"}, Say())


def test_atlas_status_tells_the_engines_of_the_last_runs(world: World) -> None:
    world.run({"process_dates": ["2024-12-01", "2024-12-31", jobs.FAILS_IN_THE_FUNCTION], "engine": "auto"})
    world.run({"from": "2025-01-01", "to": "2025-01-04", "engine": "lambda"})
    world.run({"engine": "spark"})
    told = [(run["status"], run["days"]) for run in last_runs(world.cloud)[:3]]
    assert told == [
        ("FAILED", ""),
        ("SUCCEEDED", "4 days lambda"),
        ("FAILED", f"{jobs.FAILS_IN_THE_FUNCTION} lambda, 2024-12-01 glue, 2024-12-31 lambda"),
    ]
