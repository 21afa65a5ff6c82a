"""What keeps a mistake from becoming a bill: each guard, as the templates have it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from atlas import lake
from atlas.names import Names
from stacks.base import AtlasStack
from stacks.budget import budget
from stacks.config import StageConfig, read_context
from tests.infra.conftest import STAGES, Synth, plain


@pytest.mark.parametrize("stage", STAGES)
def test_a_query_ends_at_the_stages_cutoff_and_writes_where_and_how_the_stage_says(
    stages: dict[str, Synth], stage: str
) -> None:
    synth, names = stages[stage], Names(stage)
    expected = {
        names.workgroup: (synth.config.queries.scan_cutoff_gb, lake.QUERY_RESULTS),
        names.api_workgroup: (synth.config.query_api.scan_cutoff_gb, lake.API_RESULTS),
    }
    assert {each["Name"] for each in synth.resources("AWS::Athena::WorkGroup")} == set(expected)
    for name, (gigabytes, prefix) in expected.items():
        workgroup = synth.one("AWS::Athena::WorkGroup", Name=name)["WorkGroupConfiguration"]
        assert workgroup["EnforceWorkGroupConfiguration"] is True
        assert workgroup["BytesScannedCutoffPerQuery"] == gigabytes * 10**9
        results = workgroup["ResultConfiguration"]
        assert results["OutputLocation"].endswith("/" + prefix)
        assert results["EncryptionConfiguration"]["EncryptionOption"].startswith("SSE_")


@pytest.mark.parametrize("stage", STAGES)
def test_functions_and_jobs_are_capped(stages: dict[str, Synth], stage: str) -> None:
    synth, names = stages[stage], Names(stage)
    config = synth.config
    day = synth.one("AWS::Lambda::Function", FunctionName=names.day_function)
    assert day.get("ReservedConcurrentExecutions") == config.day.max_concurrency
    assert day["Timeout"] == config.day.timeout_seconds
    taking = {
        names.ingest_function: config.ingestion.max_concurrency,
        names.forwarder_function: config.events.max_concurrency,
    }
    for name, at_once in taking.items():
        source = synth.source_of(synth.one("AWS::Lambda::Function", FunctionName=name))
        assert source["ScalingConfig"] == {"MaximumConcurrency": at_once}
    for name in (names.normalize_job, names.aggregate_job):
        job = synth.one("AWS::Glue::Job", Name=name)
        assert (job["WorkerType"], job["NumberOfWorkers"]) == (config.jobs.worker_type, config.jobs.max_workers)
        assert job["Timeout"] == config.jobs.timeout_minutes
        assert job["ExecutionProperty"] == {"MaxConcurrentRuns": config.orchestration.concurrent_days}
        assert job["DefaultArguments"]["--enable-auto-scaling"] == "true"
        assert job["MaxRetries"] == 0


def test_by_default_glue_takes_the_smallest_workers_and_the_fewest() -> None:
    jobs = read_context()["defaults"]["jobs"]
    assert (jobs["worker_type"], jobs["max_workers"]) == ("G.1X", 2)  # one worker and its driver


def test_prod_sets_concurrency_aside_for_days_and_dev_does_not(dev: Synth, prod: Synth) -> None:
    """A new account may have as few as ten calls at once, of which nothing can be set aside."""
    assert dev.config.day.max_concurrency is None
    assert prod.config.day.max_concurrency is not None
    assert prod.config.day.max_concurrency >= 2 * prod.config.orchestration.concurrent_days  # daily run and sweep


def _with_budget(amount: int | None, folder: Path) -> list[dict[str, Any]]:
    config = replace(StageConfig.load("dev", read_context()), monthly_budget_usd=amount)
    app = App(outdir=str(folder))
    budget(AtlasStack(app, "Money", config=config, description="a budget"))
    app.synth()
    template = plain(json.loads((folder / "Atlas-Dev-Money.template.json").read_text()))
    return [each["Properties"] for each in template.get("Resources", {}).values() if "Budget" in each["Type"]]


def test_a_stage_that_names_an_amount_has_a_budget_that_tells_the_topic(tmp_path: Path) -> None:
    assert _with_budget(None, tmp_path / "none") == []
    [told] = _with_budget(50, tmp_path / "some")
    money = told["Budget"]
    assert (money["BudgetLimit"], money["TimeUnit"]) == ({"Amount": 50, "Unit": "USD"}, "MONTHLY")
    filters = [each["Tags"] for each in money["FilterExpression"]["And"]]
    assert {each["Key"]: each["Values"] for each in filters} == {"project": ["atlas"], "stage": ["dev"]}
    alerts = told["NotificationsWithSubscribers"]
    said = [(each["Notification"]["NotificationType"], each["Notification"]["Threshold"]) for each in alerts]
    assert said == [("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)]
    topic = f"arn:aws:sns:eu-central-1:111122223333:{Names('dev').topic}"
    assert {sub["Address"] for each in alerts for sub in each["Subscribers"]} == {topic}
