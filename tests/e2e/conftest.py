from __future__ import annotations

from collections.abc import Iterator

import pytest

from atlas_cli.cloud import LOCAL, Cloud
from atlas_cli.console import Say
from atlas_cli.local import deploy, emulator
from atlas_cli.project import ROOT


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


@pytest.fixture
def say() -> Say:
    return Say()
