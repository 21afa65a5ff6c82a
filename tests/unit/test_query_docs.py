"""docs/query-api.md and docs/openapi-queries.json say what the API does."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import openapi_python_client
import pytest
from openapi_python_client.config import Config, ConfigFile, MetaType

from atlas_cli.docs import DOCS
from lambda_query import answers, app, days, refusals
from stacks.config import StageConfig, read_context
from tests.queries_under_test import QueriesUnderTest
from tests.unit.test_query_answers import canned_api, friday

PAGE = (DOCS / "query-api.md").read_text()


@pytest.fixture
def api() -> QueriesUnderTest:
    return friday(canned_api())


def test_the_page_names_every_resource_and_no_other(api: QueriesUnderTest) -> None:
    document = api.app.openapi()
    told = set(re.findall(r"`(/[a-z_]*(?:/\{\w+\})?(?:\.json)?)`", PAGE.split("## How long")[0]))
    assert told - {"/", "/docs", "/openapi.json"} == set(document["paths"])


def test_the_page_shows_a_problem_as_it_is_answered(api: QueriesUnderTest) -> None:
    [shown] = [json.loads(line) for line in PAGE.splitlines() if line.startswith('{"type')]
    assert api.get("/books?from=29.11.2024&to=2024-11-30").body == shown


def test_the_page_says_every_status_that_the_document_has(api: QueriesUnderTest) -> None:
    of_gateway = {"429"}
    told = set(re.findall(r"^\| (\d{3}) \|", PAGE, re.MULTILINE)) - of_gateway
    responses = [operation["get"]["responses"] for operation in api.app.openapi()["paths"].values()]
    assert told == {status for found in responses for status in found} - {"200"}


def test_the_page_says_the_bounds_that_hold() -> None:
    text = " ".join(PAGE.split())
    assert StageConfig.load("prod", read_context()).query_api.scan_cutoff_gb > 0
    for said in (
        f"{days.MOST_DAYS} days at most",
        f"above {refusals._MOST_RAW:,} characters",
        f"longer than {app.WAIT_SECONDS:.0f} seconds",
        f"up to {app._KEPT_BYTES // 2**20} MiB of them",
        f"more than {answers._MOST_BYTES / 1e6} MB",
        "`query_api.requests_per_second`",
        "`query_api.scan_cutoff_gb`",
    ):
        assert said in text


def test_a_generated_client_reads_the_answers(
    api: QueriesUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "generated_query_client"
    config = Config.from_sources(
        ConfigFile(post_hooks=[]),
        MetaType.NONE,
        DOCS / "openapi-queries.json",
        "utf-8",
        overwrite=True,
        output_path=out,
    )
    faults = openapi_python_client.generate(config=config)
    capsys.readouterr()
    assert faults == []
    monkeypatch.syspath_prepend(tmp_path)
    models = importlib.import_module("generated_query_client.models")
    read = models.DailyActivities.from_dict(api.get("/daily_activity?from=2024-11-29&to=2024-11-30").body)
    assert [day.total_requests for day in read.items] == [3]
    for name in [name for name in sys.modules if name.startswith("generated_query_client")]:
        del sys.modules[name]
