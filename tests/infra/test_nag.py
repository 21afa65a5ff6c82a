"""Every stage passes the AWS Solutions rules of cdk-nag, and a deploy with a finding does not get that far."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from stacks.config import StageConfig, read_context
from stacks.data import DataStack
from stacks.nag import acknowledge, hold_to_the_rules
from stacks.roles import allow, service_role
from tests.infra.conftest import STAGES, Synth


def _report(folder: Path) -> Any:
    [pack] = json.loads((folder / "validation-report.json").read_text())["pluginReports"]
    assert pack["pluginName"] == "AwsSolutions"
    return pack


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_passes_and_each_finding_that_is_accepted_has_its_reason(
    stages: dict[str, Synth], stage: str
) -> None:
    report = _report(stages[stage].folder)
    assert (report["conclusion"], report["violations"]) == ("success", [])  # no warnings either
    accepted = report["suppressedViolations"]
    assert accepted  # the rules were looked at
    for each in accepted:
        assert len(each["reason"].split()) > 10, each["ruleName"]
        [construct] = each["violatingConstructs"]
        assert construct["constructPath"].startswith(each["acknowledgedAt"] + "/") or (
            construct["constructPath"] == each["acknowledgedAt"]
        )
        assert each["acknowledgedAt"].count("/") >= 1  # at a resource, not at a stack


def test_a_finding_that_nobody_has_accepted_stops_the_synthesis(tmp_path: Path) -> None:
    app = App(context=read_context(), outdir=str(tmp_path))
    stack = DataStack(app, StageConfig.load("dev", read_context()))
    acknowledge(sns.Topic(stack, "Loud"), "SNS3", "This one is accepted.")
    s3.Bucket(stack, "Open")
    everything = [allow("Everything", ["s3:GetObject"], ["*"])]
    service_role(stack, "Role", name="role", service="glue.amazonaws.com", description="", statements=everything)
    hold_to_the_rules(app)
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    found = {each["ruleName"] for each in _report(tmp_path)["violations"]}
    assert found == {"AwsSolutions-S1", "AwsSolutions-S10", "AwsSolutions-IAM5[Resource::*]"}
