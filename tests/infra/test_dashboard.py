"""The dashboard: that it answers its questions, from metrics that are put."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from atlas.metrics import ALARMS
from atlas_cli.local.cloudwatch import value_of
from stacks.prices import PRICES
from tests.infra.conftest import STAGES, Synth
from tests.infra.watched import AWS, Json, exists, of_widget, searched

FUNCTIONS = {"FILL", "IF", "SUM", "SEARCH"}


def widgets(synth: Synth) -> list[Json]:
    dashboard = synth.one("AWS::CloudWatch::Dashboard", DashboardName=f"atlas-{synth.config.stage}")
    return list(json.loads(dashboard["DashboardBody"])["widgets"])


def _expressions(widget: Json) -> list[Json]:
    rows = widget["properties"].get("metrics", ())
    return [word for row in rows for word in row if isinstance(word, dict) and "expression" in word]


@pytest.mark.parametrize("stage", STAGES)
def test_every_widget_shows_metrics_that_are_put(stages: dict[str, Synth], stage: str) -> None:
    shown = [looked for widget in widgets(stages[stage]) for looked in of_widget(widget)]
    assert len(shown) > 30
    for looked in shown:
        assert exists(looked, stages[stage]), looked


def test_what_is_searched_for_is_put_too(prod: Synth) -> None:
    found = [
        each for widget in widgets(prod) for told in _expressions(widget) for each in searched(told["expression"])
    ]
    workgroups = {each["Name"] for each in prod.resources("AWS::Athena::WorkGroup")}
    assert {looked.name for looked, _ in found} == {"ProcessedBytes"}
    for looked, left_open in found:
        sets, _ = AWS[looked.namespace, looked.name]
        assert tuple(sorted([*left_open, *(name for name, _ in looked.dimensions)])) in sets
        assert looked.dimensions in {(("WorkGroup", name),) for name in workgroups}
    assert {looked.dimensions[0][1] for looked, _ in found} == workgroups


def test_every_expression_calculates_with_what_its_widget_has(prod: Synth) -> None:
    for widget in widgets(prod):
        ids = {word["id"] for row in widget["properties"].get("metrics", ()) for word in row if "id" in word}
        for told in _expressions(widget):
            bare = re.sub(r"'[^']*'", "", told["expression"])
            assert set(re.findall(r"\b[A-Za-z_]\w*", bare)) - FUNCTIONS <= ids, told
            assert not re.search(r"\de", bare), "an exponent"


def test_the_alarms_are_at_the_top_with_their_runbook(prod: Synth) -> None:
    text, status = (widget for widget in widgets(prod) if widget["y"] == 0)
    assert len(status["properties"]["alarms"]) == len(ALARMS)
    for alarm in ALARMS:
        assert f"({prod.config.runbook_url}#{alarm})" in text["properties"]["markdown"]


@pytest.mark.parametrize(
    "question",
    [
        *("What came in", "What was refused", "What was published", "How fresh"),
        *("Events", "Queries", "How much it cost"),
    ],
)
def test_one_look_answers(prod: Synth, question: str) -> None:
    assert [widget for widget in widgets(prod) if widget["properties"].get("title", "").startswith(question)]


def test_no_widget_lies_on_another(prod: Synth) -> None:
    taken = [
        (x, y)
        for widget in widgets(prod)
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


USED = {
    "Duration": 1000 * 3600,  # an hour of each function, in ms
    "Invocations": 1_000_000,
    "GlueDpuSeconds": 7200,
    "BucketSizeBytes": 100 * 2**30,
    "ConsumedReadCapacityUnits": 2_000_000,
    "ConsumedWriteCapacityUnits": 1_000_000,
    "Count": 1_000_000,
    "IncomingRecords": 1_000_000,
    "IncomingBytes": 2**30,
}


def _cost(widget: Json, service: str) -> float | None:
    """What a service costs by the widget's expression, if USED was used of everything."""
    [told] = [each for each in _expressions(widget) if each["label"] == service]
    rows = [row for row in widget["properties"]["metrics"] if isinstance(row[0], str)]
    stats = [
        {"Id": row[-1]["id"], "MetricStat": {"Metric": {"MetricName": row[1]}}, "ReturnData": False} for row in rows
    ]
    query: dict[str, Any] = {"Id": "cost", "Expression": told["expression"]}
    return value_of({"Metrics": [query, *stats]}, lambda stat: float(USED[stat["Metric"]["MetricName"]]))


def test_a_day_costs_what_its_use_costs(prod: Synth) -> None:
    [widget] = [each for each in widgets(prod) if each["properties"].get("title", "").endswith("US dollars a day")]
    functions, usd = prod.resources("AWS::Lambda::Function"), {name: price.usd for name, price in PRICES.items()}
    gigabytes = sum(function["MemorySize"] for function in functions) / 1024
    scratch = sum(function["EphemeralStorage"]["Size"] - 512 for function in functions) / 1024
    assert _cost(widget, "Lambda") == pytest.approx(
        3600 * (gigabytes * usd["lambda_arm64"] + scratch * usd["lambda_storage"])
        + len(functions) * 1e6 * usd["lambda_call"]
    )
    assert _cost(widget, "Glue") == pytest.approx(2 * usd["glue_dpu"])
    assert _cost(widget, "S3, storage") == pytest.approx(
        100 * (usd["s3_standard"] + usd["s3_glacier_ir"]) * 12 / 365
    )
    assert _cost(widget, "DynamoDB") == pytest.approx(2 * (2e6 * usd["ledger_read"] + 1e6 * usd["ledger_write"]))
    assert _cost(widget, "API Gateway") == pytest.approx(1e6 * (usd["api_request"] + usd["http_api_request"]))
    least = 1e6 * 5 / 2**20  # GB: each record is counted as 5 KB
    assert _cost(widget, "Firehose") == pytest.approx(
        least * (usd["delivery"] + usd["delivery_conversion"]) + usd["delivery_partitions"]
    )
    [scanned] = [each["expression"] for each in _expressions(widget) if each["label"] == "Athena"]
    assert scanned.startswith("(")  # all that was read, of both workgroups
    assert float(scanned.rpartition("* ")[2]) * 2**30 == pytest.approx(usd["athena"])
