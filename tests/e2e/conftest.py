from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from atlas import lake
from atlas_cli.cloud import LOCAL, Cloud
from atlas_cli.console import Say
from atlas_cli.local import deploy, emulator
from atlas_cli.project import ROOT, SAMPLE
from atlas_cli.put import put
from atlas_cli.run import run


@dataclass(frozen=True)
class Sample:
    """What the sample's generator says of it, and what the stage said when it was dropped and its days were run."""

    truth: Mapping[str, Any]
    states: Mapping[str, str]
    """Of each file, by its raw key."""
    outcomes: list[dict[str, Any]]

    @property
    def days(self) -> list[str]:
        return sorted(self.truth["days"])


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulator.Emulator]:
    """The stacks of stage local, deployed by `cdk deploy` to an emulator of these tests' own."""
    folder = tmp_path_factory.mktemp("project")
    started = emulator.start(folder)
    try:
        deploy.deploy(started, project=ROOT)
        yield started
    finally:
        emulator.stop(folder)


@pytest.fixture(scope="session")
def cloud(running: emulator.Emulator) -> Cloud:
    return Cloud(LOCAL, running.session())


@pytest.fixture(scope="session")
def sample(cloud: Cloud) -> Sample:
    """Both sample days, published. Tests that change them come last: test_raw_to_gold.py."""
    truth = json.loads((SAMPLE / "expected.json").read_text())
    entries = put(cloud, {lake.RAW + file["path"]: SAMPLE / file["path"] for file in truth["files"]}, Say())
    outcomes = run(cloud, {"process_dates": sorted(truth["days"])}, Say())
    return Sample(truth, {entry.raw_key: entry.state for entry in entries}, outcomes)


@pytest.fixture
def say() -> Say:
    return Say()
