"""Stages, tags and assets: what makes one deployment tell itself from another, and what must not."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import CfnResource

from stacks import assets
from stacks.config import read_context
from stacks.tags import tags
from tests.infra.conftest import STAGES, Synth

WITHOUT_TAGS = {
    "AWS::ApiGateway::Authorizer",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::GatewayResponse",
    "AWS::ApiGateway::Method",
    "AWS::ApiGateway::Model",
    "AWS::ApiGateway::RequestValidator",
    "AWS::ApiGateway::Resource",
    "AWS::ApiGatewayV2::Authorizer",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::Athena::NamedQuery",
    "AWS::Glue::Database",
    "AWS::Glue::Table",
    "AWS::KMS::Alias",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogStream",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::Schedule",
    "AWS::SecretsManager::RotationSchedule",
    "Custom::S3AutoDeleteObjects",
}
"""What CloudFormation cannot tag."""


def _tagged(resource: Mapping[str, Any]) -> dict[str, str]:
    properties = resource.get("Properties", {})
    told = properties.get("Tags", properties.get("ResourceTags", {}))
    return told if isinstance(told, dict) else {each["Key"]: each["Value"] for each in told}


@pytest.mark.parametrize("stage", STAGES)
def test_everything_that_can_be_tagged_says_its_project_and_stage(stages: dict[str, Synth], stage: str) -> None:
    resources = [
        (name, resource)
        for template in stages[stage].templates.values()
        for name, resource in template["Resources"].items()
        if resource["Type"] not in WITHOUT_TAGS
    ]
    assert resources
    untagged = {name for name, resource in resources if not tags(stage).items() <= _tagged(resource).items()}
    assert untagged == set()


def test_what_counts_as_without_tags_is_so_in_cloudformations_own_definitions() -> None:
    for kind in WITHOUT_TAGS:
        if kind.startswith("AWS::"):
            _, service, name = kind.split("::")
            made = getattr(importlib.import_module(f"aws_cdk.aws_{service.lower()}"), f"Cfn{name}")
            assert issubclass(made, CfnResource)
            assert not hasattr(made, "tags"), kind


def _repeated(defaults: Mapping[str, Any], stage: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, value in stage.items():
        if isinstance(value, Mapping):
            yield from _repeated(defaults[key], value, f"{path}.{key}")
        elif key in defaults and defaults[key] == value:
            yield f"{path}.{key}"


def test_a_stage_says_only_in_what_it_differs_from_the_defaults() -> None:
    context = read_context()
    for name, stage in context["stages"].items():
        assert list(_repeated(context["defaults"], stage, name)) == []


SOURCES = (
    *("app.py", "cdk.json", "atlas", "stacks", "statemachine"),
    *("glue_jobs", "lambda_day", "lambda_events", "lambda_ingest", "lambda_query", "queries"),
)


def test_the_same_source_comes_to_the_same_templates_and_assets_wherever_it_lies(
    dev: Synth, tmp_path: Path
) -> None:
    """Another checkout, another virtual environment, layers built anew: nothing to deploy."""
    other, built = tmp_path / "other", tmp_path / "built"
    other.mkdir()
    for name in SOURCES:
        source = assets.ROOT / name
        if source.is_dir():
            shutil.copytree(source, other / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, other / name)
    (tmp_path / "environment").symlink_to(sys.prefix)
    told = subprocess.run(
        [tmp_path / "environment" / "bin" / Path(sys.executable).name, "app.py"],
        cwd=other,
        env={
            **os.environ,
            "CDK_CONTEXT_JSON": json.dumps(read_context() | {"stage": "dev"}),
            "CDK_OUTDIR": str(built),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert list((other / ".atlas" / "layers").iterdir())  # it built its own layers
    for kind in ("*.template.json", "*.assets.json"):
        ours = {path.name: json.loads(path.read_text()) for path in dev.folder.glob(kind)}
        theirs = {path.name: json.loads(path.read_text()) for path in built.glob(kind)}
        assert ours
        assert theirs == ours
