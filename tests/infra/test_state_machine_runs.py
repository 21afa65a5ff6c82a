"""What the state machine does, by executing its definition with a function and jobs that are told what to do."""

from __future__ import annotations

import time

import pytest

from atlas.metrics import GLUE_DPU_SECONDS, GLUE_JOBS_FAILED, HOURS_WITHOUT_YESTERDAY
from stacks.orchestration import MAX_FAILURES
from tests.infra import state_machine_server as jobs
from tests.infra.state_machine_world import Item, World


@pytest.mark.parametrize(
    ("request_", "days"),
    [
        ({"process_date": "2024-02-29"}, ["2024-02-29"]),
        ({"process_dates": ["2024-11-30", "2024-11-29", "2024-11-30"]}, ["2024-11-29", "2024-11-30"]),
        ({"process_dates": ["2024-11-29"]}, ["2024-11-29"]),
        ({"from": "2024-12-31", "to": "2025-01-01"}, ["2024-12-31", "2025-01-01"]),
        ({"from": "2024-11-29", "to": "2024-11-29"}, ["2024-11-29"]),
        ({"scheduled_time": "2025-01-01T00:20:00Z"}, ["2024-12-31"]),
        ({"sweep": True}, []),
    ],
    ids=str,
)
def test_each_form_of_request_names_its_days(world: World, request_: Item, days: list[str]) -> None:
    assert world.outcomes(request_) == dict.fromkeys(days, "published")


def test_an_empty_request_means_the_day_before_the_execution(world: World) -> None:
    execution = world.run({})
    yesterday = time.strftime("%Y-%m-%d", time.gmtime(execution["startDate"].timestamp() - 86400))
    assert list(execution["days"]) == [yesterday]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"process_date": "2023-02-29"}, "not a day: 2023-02-29;"),
        ({"process_date": "1900-02-29"}, "not a day: 1900-02-29;"),
        ({"process_date": "2024-04-31"}, "not a day: 2024-04-31;"),
        ({"process_date": "29.11.2024"}, "not a day: 29.11.2024;"),
        ({"process_date": 20241129}, "expected {}"),
        ({"process_date": ["2024-11-29"]}, "expected {}"),
        ({"process_dates": []}, "expected {}"),
        ({"process_dates": "2024-11-29"}, "expected {}"),
        ({"process_dates": ["2024-11-29", None]}, "not a day"),
        ({"process_dates": ["2024-11-29", 7]}, "not a day: 7;"),
        ({"from": "2024-11-30", "to": "2024-11-29"}, "no later than to"),
        ({"from": "2024-01-01", "to": "2024-12-31"}, "at most 100"),
        ({"from": "2024-01-01"}, "expected {}"),
        ({"sweep": False}, "expected {}"),
        ({"scheduled_time": "yesterday"}, "expected {}"),
        ({"scheduled_time": "2024-13-01T00:20:00Z"}, "not a day: 2024-13-01;"),
        ({"date": "2024-11-29"}, 'the request is {"date":"2024-11-29"}'),
        ({"process_date": "2024-11-29", "sweep": True}, "expected {}"),
        ({"process_date": "2024-11-29", "engine": "spark"}, "not an engine: spark; expected auto, lambda or glue"),
        ({"engine": None}, "not an engine: null;"),
        ({"engine": ["glue"], "sweep": True}, 'not an engine: ["glue"];'),
        ([], "expected {}"),
        ("2024-11-29", "expected {}"),
    ],
    ids=str,
)
def test_a_malformed_request_is_refused_with_what_was_expected(world: World, request_: object, said: str) -> None:
    execution = world.run(request_)
    assert (execution["status"], execution["error"]) == ("FAILED", "Atlas.InvalidInput")
    assert said in execution["cause"]


def test_a_published_day_is_clean_unlocked_and_in_the_catalog(world: World) -> None:
    world.given("2024-11-29", dirty_since="2024-11-30T00:00:00Z", failures=2)
    run_id = world.run({"process_date": "2024-11-29"})["days"]["2024-11-29"]["run_id"]
    state = world.state_of("2024-11-29")
    gone = {"dirty", "dirty_since", "lock_owner", "lock_expires", "failures"}
    assert not gone & set(state)
    assert (state["last_run"], state["last_result"]) == (run_id, "published")
    assert state["published_at"] == state["last_run_at"]
    assert state["crawled"] == state["partitions"] == jobs.PARTITIONS
    assert world.notices() == []


def test_a_day_whose_partitions_were_crawled_is_not_crawled_again(world: World) -> None:
    def last_crawl() -> object:
        return world.glue.get_crawler(Name="gold")["Crawler"]["LastCrawl"]["StartTime"]

    world.run({"process_date": "2024-11-29"})
    before = last_crawl()
    world.run({"process_date": "2024-11-29"})
    assert last_crawl() == before
    world.run({"process_date": "2024-11-30"})
    assert last_crawl() != before


def test_one_day_s_failure_does_not_stop_the_others_and_fails_the_execution(world: World) -> None:
    days = [jobs.FAILS_IN_NORMALIZE, jobs.FAILS_IN_AGGREGATE, "2024-11-29"]
    execution = world.run({"process_dates": days})
    assert (execution["status"], execution["error"]) == ("FAILED", "Atlas.DayFailed")
    outcomes = {day: told["outcome"] for day, told in execution["days"].items()}
    assert outcomes == dict(zip(days, ["failed", "failed", "published"], strict=True))
    assert execution["days"][jobs.FAILS_IN_NORMALIZE]["cause"] == 'the "books" are out by 3'
    assert world.state_of("2024-11-29")["crawled"] == jobs.PARTITIONS
    notices = world.notices()
    assert len(notices) == 1
    assert "1 of 3 days published" in notices[0]["Message"]


def test_a_failed_attempt_is_crawled_once_and_the_publication_that_follows_it_too(world: World) -> None:
    """Its row of data_quality is to be seen; the other tables have their partitions from the publication on."""

    def crawl() -> object:
        return world.glue.get_crawler(Name="gold")["Crawler"].get("LastCrawl", {}).get("StartTime")

    day, times = jobs.FAILS_IN_AGGREGATE, [crawl()]
    for _ in range(2):
        world.run({"process_date": day})
        times.append(crawl())
    assert times[0] != times[1] == times[2]
    assert world.run({"process_date": day, "engine": "lambda"})["status"] == "SUCCEEDED"
    assert crawl() != times[2]
    assert world.state_of(day)["crawled"] == jobs.PARTITIONS


def test_a_crawl_is_not_recorded_over_that_of_a_run_that_ended_later(world: World) -> None:
    execution = world.run({"process_date": jobs.ANOTHER_RUN_ENDS_MEANWHILE})
    assert (execution["status"], execution["days"][jobs.ANOTHER_RUN_ENDS_MEANWHILE]["outcome"]) == (
        "SUCCEEDED",
        "published",
    )
    state = world.state_of(jobs.ANOTHER_RUN_ENDS_MEANWHILE)
    assert (state["last_run"], "crawled" in state) == ("another run", False)


@pytest.mark.parametrize("day", [jobs.FAILS_IN_NORMALIZE, jobs.FAILS_IN_AGGREGATE])
def test_a_failed_day_is_dirty_and_unlocked_and_the_sweep_tries_it_a_few_times_until_it_changes(
    world: World, day: str
) -> None:
    world.given(day)
    for failures in range(1, MAX_FAILURES + 1):
        assert world.outcomes({"sweep": True}) == {day: "failed"}
        state = world.state_of(day)
        assert (state["dirty"], state["last_result"], state["failures"]) == ("yes", "failed", str(failures))
        assert "lock_owner" not in state
    assert world.outcomes({"sweep": True}) == {}
    assert world.outcomes({"scheduled_time": "2024-11-30T00:20:00Z"})[day] == "failed"
    assert world.state_of(day)["failures"] == str(MAX_FAILURES + 1)
    world.given(day, changes=5)  # as ingestion leaves it
    assert world.outcomes({"sweep": True}) == {day: "failed"}


def test_a_day_that_is_not_over_and_has_outgrown_the_function_waits_for_the_daily_run(world: World) -> None:
    """Else Glue would process it whole again with every sweep until midnight."""
    today, yesterday = (time.strftime("%Y-%m-%d", time.gmtime(time.time() - back)) for back in (0, 86400))
    world.given(today, last_engine="glue")
    world.given(yesterday, last_engine="glue")
    assert world.outcomes({"sweep": True}) == {yesterday: "published"}
    world.given(today, last_engine="lambda")
    assert world.outcomes({"sweep": True}) == {today: "published"}
    world.given(today, last_engine="glue")
    assert world.outcomes({"process_date": today}) == {today: "published"}
    world.given(today, last_engine="glue")
    assert today in world.outcomes({})


def test_the_sweep_does_not_give_up_a_day_whose_publication_is_half_done(world: World) -> None:
    world.given("2024-11-28", failures=MAX_FAILURES)
    world.given("2024-11-29", failures=MAX_FAILURES, publishing="the run that began it")
    assert world.outcomes({"sweep": True}) == {"2024-11-29": "published"}


def test_a_clean_day_that_fails_becomes_dirty(world: World) -> None:
    world.run({"process_date": jobs.FAILS_IN_NORMALIZE})
    assert world.state_of(jobs.FAILS_IN_NORMALIZE)["dirty"] == "yes"


def test_a_day_is_dirty_while_it_is_worked_on_so_that_what_a_dead_execution_left_is_swept(world: World) -> None:
    world.run({"process_date": "2024-11-29"})
    state = world.state_of("2024-11-29")
    assert state["met"] == "yes"
    assert "dirty" not in state


def test_a_file_that_lands_during_the_run_leaves_the_day_dirty(world: World) -> None:
    world.given(jobs.FILE_LANDS_MEANWHILE, changes=1)
    assert world.outcomes({"sweep": True}) == {jobs.FILE_LANDS_MEANWHILE: "published"}
    state = world.state_of(jobs.FILE_LANDS_MEANWHILE)
    assert (state["dirty"], state["last_result"]) == ("yes", "published")
    assert "lock_owner" not in state


def test_a_day_that_another_execution_holds_is_busy(world: World) -> None:
    world.given("2024-11-29", lock_owner="somebody", lock_expires=int(time.time()) + 600)
    execution = world.run({"process_date": "2024-11-29"})
    assert (execution["status"], execution["error"]) == ("FAILED", "Atlas.DayBusy")
    assert world.state_of("2024-11-29")["lock_owner"] == "somebody"
    assert world.outcomes({"sweep": True}) == {}
    daily = world.run({"scheduled_time": "2024-11-30T00:20:00Z"})
    assert (daily["status"], daily["days"]["2024-11-29"]["outcome"]) == ("SUCCEEDED", "busy")


def test_the_lock_of_a_dead_execution_is_taken_over(world: World) -> None:
    world.given("2024-11-29", lock_owner="somebody", lock_expires=int(time.time()) - 1)
    assert world.outcomes({"sweep": True}) == {"2024-11-29": "published"}


def test_the_daily_run_takes_its_day_and_every_dirty_day(world: World) -> None:
    world.given("2024-11-20")
    world.given("2024-11-21", dirty="")
    assert sorted(world.outcomes({"scheduled_time": "2024-11-30T00:20:00Z"})) == ["2024-11-20", "2024-11-29"]


def test_throttling_is_waited_out(world: World) -> None:
    assert world.outcomes({"process_date": jobs.THROTTLED_ONCE}) == {jobs.THROTTLED_ONCE: "published"}


def test_a_crawl_that_fails_fails_the_execution_but_not_the_day(world: World) -> None:
    world.glue.delete_crawler(Name="gold")
    try:
        execution = world.run({"process_date": "2024-11-29"})
    finally:
        world.glue.create_crawler(
            Name="gold",
            Role="arn:aws:iam::000000000000:role/crawler",
            Targets={"CatalogTargets": [{"DatabaseName": "logs", "Tables": ["logs"]}]},
        )
    assert (execution["status"], execution["error"]) == ("FAILED", "Atlas.CrawlFailed")
    state = world.state_of("2024-11-29")
    assert (state["last_result"], "crawled" in state) == ("published", False)
    assert len(world.notices()) == 1


def _today(days: int = 0) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + days * 86400))


def _hours_without_yesterday(world: World, request: object) -> float | None:
    """What an execution tells of yesterday; None if it tells nothing."""
    before = world.counted(HOURS_WITHOUT_YESTERDAY), world.times_counted(HOURS_WITHOUT_YESTERDAY)
    assert world.run(request)["status"] == "SUCCEEDED"
    told = world.times_counted(HOURS_WITHOUT_YESTERDAY) - before[1]
    assert told <= 1
    return world.counted(HOURS_WITHOUT_YESTERDAY) - before[0] if told else None


@pytest.mark.parametrize("request_", [{"sweep": True}, {"scheduled_time": "2024-11-30T00:20:00Z"}], ids=str)
def test_scheduled_runs_tell_for_how_long_gold_has_been_without_yesterday(world: World, request_: Item) -> None:
    world.given_first_day(_today(-7))
    now = time.gmtime()
    hours = now.tm_hour + now.tm_min / 60 + now.tm_sec / 3600
    assert _hours_without_yesterday(world, request_) == pytest.approx(hours, abs=0.1)
    world.given(_today(-1), dirty="", published_at="2024-11-30T00:21:00Z")
    assert _hours_without_yesterday(world, request_) == 0


def test_a_stage_owes_nobody_the_days_before_its_schedules_first_ran(world: World) -> None:
    assert _hours_without_yesterday(world, {"sweep": True}) == 0
    world.given_first_day(_today(-1))
    assert _hours_without_yesterday(world, {"sweep": True}) != 0


def test_runs_that_nobody_scheduled_tell_nothing_of_yesterday(world: World) -> None:
    assert _hours_without_yesterday(world, {"process_date": "2024-11-29"}) is None


def test_what_glue_has_done_for_a_day_is_counted_whether_it_failed_or_not(world: World) -> None:
    def count(day: str, engine: str = "glue") -> tuple[float, float]:
        before = world.counted(GLUE_JOBS_FAILED), world.counted(GLUE_DPU_SECONDS)
        world.run({"process_date": day, "engine": engine})
        after = world.counted(GLUE_JOBS_FAILED), world.counted(GLUE_DPU_SECONDS)
        return after[0] - before[0], after[1] - before[1]

    assert count("2024-11-29", "lambda") == (0, 0)
    assert count("2024-11-29") == (0, 2 * jobs.DPU_SECONDS)
    assert count(jobs.FAILS_IN_NORMALIZE) == (1, jobs.DPU_SECONDS)
    assert count(jobs.FAILS_IN_AGGREGATE) == (1, 2 * jobs.DPU_SECONDS)
    assert count(jobs.OUTGROWN_AND_FAILS_IN_GLUE, "auto") == (1, jobs.DPU_SECONDS)
