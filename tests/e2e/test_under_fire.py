"""Books that balance under fire, on the stacks that deploy: late files, bursts, races, sudden deaths."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from atlas.metrics import (
    BOOKS_UNBALANCED,
    DAYS_FAILED,
    DAYS_PUBLISHED,
    FILES,
    RECORDS,
    RECORDS_PUBLISHED,
)
from atlas.names import Names
from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say
from atlas_cli.local.emulator import Emulator
from atlas_cli.put import put
from atlas_cli.query import ask
from atlas_cli.run import outcomes, run
from atlas_cli.status import dirty_days
from tests.e2e.days import counted, ended, files, gold, published, runs, start, validated, wait
from tests.e2e.processes import kill

NAMES = Names("local")
LATE, CONTESTED, STRUCK, FORGED = "2025-03-01", "2025-03-02", "2025-03-03", "2025-03-06"
BURST = 60

pytestmark = pytest.mark.timeout(400)


@contextmanager
def sweeping(cloud: Cloud) -> Iterator[None]:
    """The deployed sweep, enabled and due at once; afterwards as the stack left it."""
    scheduler: Any = cloud.session.client("scheduler")
    deployed = scheduler.get_schedule(Name=cloud.names.sweep_schedule)
    settings = ("Name", "Description", "State", "ScheduleExpression", "FlexibleTimeWindow", "Target")
    kept = {name: deployed[name] for name in settings}
    soon = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 1))
    scheduler.update_schedule(**{**kept, "State": "ENABLED", "ScheduleExpression": f"at({soon})"})
    try:
        yield
    finally:
        scheduler.update_schedule(**kept)


def test_a_burst_of_files_so_late_that_the_day_has_expired_is_repaired_by_the_sweep_in_one_run(
    cloud: Cloud, say: Say, tmp_path: Path
) -> None:
    put(cloud, files(tmp_path, LATE, 0), say)
    run(cloud, {"process_date": LATE}, say)
    assert published(cloud, LATE) == 10
    first = runs(cloud, LATE)
    [expired] = validated(cloud, LATE)
    cloud.s3.delete_object(Bucket=cloud.bucket, Key=expired)
    put(cloud, files(tmp_path, LATE, *range(1, BURST + 1)), say)
    assert LATE in [day["day"] for day in dirty_days(cloud)]

    with sweeping(cloud):
        found = wait(lambda: _execution_of(cloud, LATE, since=first), bool)
    execution = ended(cloud, found)
    assert (execution["status"], execution["input"]) == ("SUCCEEDED", '{"sweep": true}'), execution.get("cause")
    assert published(cloud, LATE) == 10 + 10 * BURST
    assert LATE not in [day["day"] for day in dirty_days(cloud)]
    assert len(runs(cloud, LATE) - first) == 1


def _execution_of(cloud: Cloud, day: str, since: set[str]) -> str | None:
    """The execution that began a run of a day since the runs given."""
    new = runs(cloud, day) - since
    listed = cloud.stepfunctions.list_executions(stateMachineArn=cloud.state_machine)["executions"]
    return next((each["executionArn"] for each in listed if any(each["name"] in run_id for run_id in new)), None)


def test_of_two_executions_at_once_on_one_day_one_works_and_the_other_says_that_it_is_busy(
    cloud: Cloud, say: Say, tmp_path: Path
) -> None:
    put(cloud, files(tmp_path, CONTESTED, 0, 1), say)
    both = [start(cloud, {"process_date": CONTESTED}) for _ in range(2)]
    done = [ended(cloud, execution) for execution in both]
    days = {execution["name"]: outcomes(execution)[0] for execution in done}
    assert sorted(day["outcome"] for day in days.values()) == ["busy", "published"]
    assert [execution.get("error") for execution in done if execution["status"] == "FAILED"] == ["Atlas.DayBusy"]
    assert published(cloud, CONTESTED) == 20
    assert runs(cloud, CONTESTED) == {day["run_id"] for day in days.values() if day["outcome"] == "published"}
    assert dirty_days(cloud) == []


@pytest.mark.parametrize(
    "job",
    [("lambda", NAMES.day_function, "Runtime.ExitError"), ("glue", NAMES.normalize_job, "States.TaskFailed")],
    ids=["function", "Glue job"],
)
def test_a_day_whose_job_is_killed_in_the_middle_fails_stays_as_it_was_and_is_repaired_by_the_next_run(
    running: Emulator, cloud: Cloud, say: Say, tmp_path: Path, job: tuple[str, str, str]
) -> None:
    engine, name, error = job
    known = len(runs(cloud, STRUCK))
    if not known:
        put(cloud, files(tmp_path, STRUCK, 0), say)
        run(cloud, {"process_date": STRUCK}, say)
    before, had = gold(cloud, STRUCK), published(cloud, STRUCK)
    put(cloud, files(tmp_path, STRUCK, known + 1, records=500), say)

    execution = _killed(running, cloud, engine, name)

    assert [(day["outcome"], day["error"]) for day in outcomes(execution)] == [("failed", error)]
    assert gold(cloud, STRUCK) == before
    [dirty] = dirty_days(cloud)
    assert (dirty["day"], dirty["last_result"], dirty["locked_by"]) == (STRUCK, "failed", None)
    [outcome] = run(cloud, {"sweep": True}, say)
    assert (outcome["process_date"], outcome["outcome"]) == (STRUCK, "published")
    assert published(cloud, STRUCK) == had + 500
    assert dirty_days(cloud) == []


def test_books_that_do_not_balance_say_so_in_athena_until_the_day_is_published(
    cloud: Cloud, say: Say, tmp_path: Path
) -> None:
    """And the metrics say so, by which people are told."""
    metrics = (FILES, RECORDS, DAYS_FAILED, BOOKS_UNBALANCED, DAYS_PUBLISHED, RECORDS_PUBLISHED)
    before = counted(cloud, *metrics)

    def new() -> list[float]:
        return [now - then for now, then in zip(counted(cloud, *metrics), before, strict=True)]

    [entry] = put(cloud, files(tmp_path, FORGED, 0), say)
    [key] = entry.objects()
    sound = gzip.decompress(cloud.s3.get_object(Bucket=cloud.bucket, Key=key)["Body"].read())
    lines = sound.splitlines(keepends=True)
    cloud.s3.put_object(Bucket=cloud.bucket, Key=key, Body=gzip.compress(b"".join(lines[:-3])))
    with pytest.raises(CommandError, match=r"Atlas\.DayFailed"):
        run(cloud, {"process_date": FORGED}, say)
    [failure] = ask(cloud, "books", {"from": FORGED, "to": FORGED})
    assert (failure["outcome"], failure["books"], failure["records_in"]) == ("failed", "OUT OF BALANCE", 10)
    assert ask(cloud, f"SELECT * FROM daily_activity WHERE date = DATE '{FORGED}'", {}) == []
    assert new() == [1, 10, 1, 1, 0, 0]
    [alarm] = cloud.cloudwatch.describe_alarms(AlarmNames=[NAMES.alarm("books-unbalanced")])["MetricAlarms"]
    assert (alarm["StateValue"], alarm["AlarmActions"]) == ("ALARM", [_topic(cloud)])

    cloud.s3.put_object(Bucket=cloud.bucket, Key=key, Body=gzip.compress(sound))
    assert [day["outcome"] for day in run(cloud, {"sweep": True}, say)] == ["published"]
    assert published(cloud, FORGED) == 10
    assert new() == [1, 10, 1, 1, 1, 10]


def _topic(cloud: Cloud) -> str:
    return f"arn:aws:sns:{cloud.region}:{cloud.account}:{NAMES.topic}"


def _killed(running: Emulator, cloud: Cloud, engine: str, name: str) -> Any:
    """An execution whose job was killed when it had read the ledger and was at work."""
    for _ in range(3):
        before = runs(cloud, STRUCK)
        execution = start(cloud, {"process_date": STRUCK, "engine": engine})
        wait(lambda: runs(cloud, STRUCK) - before, bool, pause=0.005)  # noqa: B023 - called in this turn only
        kill(running, name)
        told = ended(cloud, execution)
        if told["status"] == "FAILED":
            return told
    raise AssertionError("the job was always quicker than its death")
