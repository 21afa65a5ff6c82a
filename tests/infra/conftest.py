"""The synthesized templates of every stage, and the emulator that executes the state machine, made once each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from stacks.config import StageConfig, read_context
from stacks.stage import build_stage
from tests.infra.state_machine_world import World, emulator

STAGES = ("local", "dev", "prod")
Json = dict[str, Any]


@dataclass(frozen=True)
class Synth:
    """A stage's templates, with a literal account and region wherever a template refers to them."""

    config: StageConfig
    folder: Path
    templates: dict[str, Json]

    def resources(self, kind: str) -> list[Json]:
        """The properties of all resources of a type."""
        return [
            resource["Properties"]
            for template in self.templates.values()
            for resource in template["Resources"].values()
            if resource["Type"] == kind
        ]

    def one(self, kind: str, **properties: str) -> Json:
        """The one resource of a type that has the properties given."""
        found = [each for each in self.resources(kind) if properties.items() <= each.items()]
        assert len(found) == 1, f"{len(found)} of {kind} {properties}"
        return found[0]

    def source_of(self, function: Json) -> Json:
        """The event source mapping of a function."""
        logical_ids = {
            f"<{name}>"
            for template in self.templates.values()
            for name, resource in template["Resources"].items()
            if resource.get("Properties") is function
        }
        [found] = [
            each
            for each in self.resources("AWS::Lambda::EventSourceMapping")
            if each["FunctionName"] in logical_ids
        ]
        return found

    def bucket(self, name: str = "lake") -> Json:
        """The lake's bucket, or the one for `access-logs`."""
        return self.one("AWS::S3::Bucket", BucketName=f"atlas-{name}-{self.config.stage}-111122223333-eu-central-1")


def synthesize(stage: str, folder: Path) -> Synth:
    context = read_context()
    config = StageConfig.load(stage, context)
    app = App(context=context, outdir=str(folder))
    build_stage(app, config)
    app.synth()
    templates = {
        path.name.removesuffix(".template.json"): plain(json.loads(path.read_text()))
        for path in sorted(folder.glob("*.template.json"))
    }
    return Synth(config, folder, templates)


_PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::AccountId": "111122223333",
    "AWS::Region": "eu-central-1",
    "AWS::URLSuffix": "amazonaws.com",
}


def plain(value: Any) -> Any:
    """A template with its intrinsic functions replaced by what they come to, as far as tests need."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    text = _text(value)
    return {key: plain(item) for key, item in value.items()} if text is None else text


def _text(value: Json) -> str | None:
    match value:
        case {"Ref": str(name), **others} if not others:
            return _PSEUDO.get(name, f"<{name}>")
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [str(separator), parts]}:
            return separator.join(map(str, plain(parts)))
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{(AWS::\w+)\}", lambda found: _PSEUDO[found[1]], text)
        case _:
            return None


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Synth]:
    return {stage: synthesize(stage, tmp_path_factory.mktemp(stage)) for stage in STAGES}


@pytest.fixture(scope="session")
def prod(stages: dict[str, Synth]) -> Synth:
    return stages["prod"]


@pytest.fixture(scope="session")
def dev(stages: dict[str, Synth]) -> Synth:
    return stages["dev"]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with emulator(tmp_path_factory.mktemp("emulator")) as started:
        yield started


@pytest.fixture
def world(running: World) -> World:
    running.make_ledger()
    running.notices()
    return running
