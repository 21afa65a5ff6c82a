"""What stays when the stacks of a stage are deleted, as the templates say; tests/e2e/test_teardown.py does it."""

from __future__ import annotations

import json
from typing import Any

from tests.infra.conftest import Synth

HOLDS_DATA = {"AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key"}


def _resources(synth: Synth) -> list[dict[str, Any]]:
    return [resource for template in synth.templates.values() for resource in template["Resources"].values()]


def test_prod_keeps_all_that_holds_data_and_lets_nobody_delete_it_in_passing(prod: Synth) -> None:
    holding = [resource for resource in _resources(prod) if resource["Type"] in HOLDS_DATA]
    assert {resource["Type"] for resource in holding} == HOLDS_DATA
    assert {(one["DeletionPolicy"], one["UpdateReplacePolicy"]) for one in holding} == {("Retain", "Retain")}
    assert prod.one("AWS::DynamoDB::Table")["DeletionProtectionEnabled"] is True
    assert {each["RecursiveDeleteOption"] for each in prod.resources("AWS::Athena::WorkGroup")} == {False}
    assert prod.resources("Custom::S3AutoDeleteObjects") == []
    manifest = json.loads((prod.folder / "manifest.json").read_text())
    stacks = {
        name: stack for name, stack in manifest["artifacts"].items() if stack["type"] == "aws:cloudformation:stack"
    }
    assert {stack["properties"]["terminationProtection"] for stack in stacks.values()} == {True}


def test_dev_keeps_nothing_and_empties_what_has_to_be_empty_to_go(dev: Synth) -> None:
    """The emulator deletes buckets and work groups that are not empty; AWS does not."""
    assert {resource.get("DeletionPolicy", "Delete") for resource in _resources(dev)} == {"Delete"}
    assert dev.one("AWS::DynamoDB::Table")["DeletionProtectionEnabled"] is False
    assert {each["RecursiveDeleteOption"] for each in dev.resources("AWS::Athena::WorkGroup")} == {True}
    buckets = [resource for resource in _resources(dev) if resource["Type"] == "AWS::S3::Bucket"]
    assert len(dev.resources("Custom::S3AutoDeleteObjects")) == len(buckets) == 2
    for function in dev.resources("AWS::Lambda::Function"):  # else they make themselves groups that stay
        assert function["LoggingConfig"]["LogGroup"].startswith("<")
