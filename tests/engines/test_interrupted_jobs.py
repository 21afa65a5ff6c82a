"""The Glue jobs, interrupted at calls that change something: their own, and those that Spark makes for them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from atlas import lake as keys
from atlas_cli.local.s3_gateway import Gateway
from lambda_day.process import run
from tests.engines.conftest import mount, run_jobs
from tests.engines.outputs import outputs
from tests.engines.remembered import LIMITS, Remembered, changed_day, locked
from tests.faults import CHANGING, Interrupted
from tests.lake_under_test import FRIDAY, LakeUnderTest, lake_under_test

_STEP = 23


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Remembered:
    return changed_day(tmp_path_factory.mktemp("scratch"), events=False)


def result(lake: LakeUnderTest) -> dict[str, Any]:
    """What is left for a reader, and where: every engine gives its files names of its own."""
    zones = (keys.LOGS, keys.REJECTED_RECORDS, keys.ANALYTICS, keys.VALIDATED)
    places = {key.rpartition("/")[0] for key in lake.keys("") if key.startswith(zones)}
    return {
        "rows": outputs(lake, FRIDAY),
        "places": {place for place in places if not place.startswith(keys.STAGING)},
        "ledger": lake.ledger_items(),
    }


@pytest.mark.timeout(900)
def test_whichever_change_is_interrupted_the_next_run_reaches_the_same_end_on_either_engine(
    history: Remembered, session: SparkSession, gateway: Gateway, tmp_path: Path
) -> None:
    """At every 23rd change, in turns: it fails, or the job dies with it; and Glue, or the function, goes on."""

    def run_at(at: int, *, dies: bool) -> list[str]:
        """Restores the history, and runs both jobs; the calls that were counted. Spark puts up with some faults."""
        history.restore(lake)
        mount(lake, session, gateway)
        clients = [lake.s3, gateway._s3, lake.ledger.meta.client, lake.sns]
        settings = locked(lake, "interrupted")
        may_fail = pytest.raises(Exception) if dies else suppress(Exception)  # noqa: PT011 - Spark's or ours
        with Interrupted(clients, at, dies=dies, only=CHANGING) as calls, may_fail:
            run_jobs(lake, session, settings)
        return calls.calls

    with lake_under_test() as lake:
        calls = run_at(10**9, dies=False)
        run_jobs(lake, session, locked(lake, "next"))
        expected = result(lake)
    assert len(calls) > 40
    for number, at in enumerate(range(1, len(calls) + 1, _STEP)):
        with lake_under_test() as lake:
            made = run_at(at, dies=number % 2 == 1)
            if number % 4 < 2:
                run_jobs(lake, session, locked(lake, "next"))
            else:
                run(locked(lake, "next"), lake.clients, LIMITS, tmp_path)
            assert result(lake) == expected, f"call {at} of {made}"
