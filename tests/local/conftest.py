from __future__ import annotations

from collections.abc import Iterator

import pytest

from atlas_cli.local import emulator
from atlas_cli.local.emulator import Emulator
from tests.local.made import Made


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One emulator for all tests; each makes what it needs under names of its own."""
    project = tmp_path_factory.mktemp("cloud")
    yield emulator.start(project)
    emulator.stop(project)


@pytest.fixture
def made(cloud: Emulator) -> Made:
    return Made(cloud)
