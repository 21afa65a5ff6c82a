from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from atlas_cli.cdk import node_bin
from tests.lake_under_test import LakeUnderTest, lake_under_test

# As Lambda has it before a handler is imported.
os.environ["POWERTOOLS_METRICS_NAMESPACE"] = "Atlas/test"
# The CDK's own code is JavaScript; a machine need not have a Node of its own, and it may have an old one.
os.environ["JSII_NODE"] = str(node_bin() / "node")


ON_DUCKDB_ONLY = (
    "tests/engines/test_interrupted_days.py",
    "tests/engines/test_events.py",
    "tests/engines/test_model.py::test_whatever_happens_to_files_the_books_are_those_of_the_model",
)


class ByWhatIsShared(LoadFileScheduling):  # type: ignore[misc]
    """What shares a deployed stage, or a Spark session, has one worker; of the rest, each file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.rpartition("/")[0]
        if nodeid.startswith(ON_DUCKDB_ONLY) or nodeid.endswith("[duckdb]"):
            return f"{file} on DuckDB"
        return folder if folder in ("tests/e2e", "tests/engines") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return ByWhatIsShared(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(autouse=True, scope="session")
def _no_real_account() -> Iterator[None]:
    """Nothing that a test does may reach, or depend on, an account of the person who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture
def lake() -> Iterator[LakeUnderTest]:
    with lake_under_test() as made:
        yield made
