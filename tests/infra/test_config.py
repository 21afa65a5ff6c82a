from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest

from stacks.config import CDK_JSON, ConfigError, StageConfig, read_context


@pytest.fixture
def context() -> dict[str, Any]:
    return copy.deepcopy(read_context())


def _refusal(context: dict[str, Any], stage: str | None = "dev") -> str:
    with pytest.raises(ConfigError) as refused:
        StageConfig.load(stage, context)
    return str(refused.value)


def test_a_stage_is_the_defaults_with_its_differences(context: dict[str, Any]) -> None:
    dev = StageConfig.load("dev", context)
    assert dev.database == context["stages"]["dev"]["database"] != context["defaults"]["database"]
    assert dev.ingestion.max_concurrency == context["stages"]["dev"]["ingestion"]["max_concurrency"]
    assert dev.ingestion.memory_mb == context["defaults"]["ingestion"]["memory_mb"]


def test_a_stage_must_be_chosen_and_known(context: dict[str, Any]) -> None:
    assert "-c stage=NAME" in _refusal(context, None)
    assert "dev, local, prod" in _refusal(context, None)
    assert "'staging' is unknown" in _refusal(context, "staging")


def test_an_unknown_key_is_refused_by_its_path(context: dict[str, Any]) -> None:
    context["stages"]["dev"]["ingestion"]["memory"] = 512
    assert "context.stages.dev.ingestion.memory is unknown" in _refusal(context)
    del context["stages"]["dev"]["ingestion"]["memory"]
    context["defaults"]["regoin"] = "eu-central-1"
    assert "context.defaults.regoin is unknown" in _refusal(context)


def test_a_missing_key_is_named_by_its_path(context: dict[str, Any]) -> None:
    del context["defaults"]["jobs"]["worker_type"]
    assert _refusal(context) == (
        "context.defaults.jobs.worker_type is missing: give it in context.defaults (cdk.json)"
    )


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("ingestion", "memory_mb", "512", "a whole number from 128 to 10240"),
        ("ingestion", "memory_mb", 64, "a whole number from 128 to 10240"),
        ("ingestion", "memory_mb", True, "a whole number from 128 to 10240"),
        ("jobs", "worker_type", "Z.1X", "one of G.1X"),
        ("day", "memory_mb", 256, "a whole number from 512 to 10240"),
        ("day", "timeout_seconds", 901, "a whole number from 60 to 900"),
        ("day", "max_megabytes", 0, "a whole number from 1 to 1048576"),
        ("orchestration", "schedules_enabled", "yes", "true or false"),
        ("orchestration", "daily_at_utc", "24:00", "a UTC time as HH:MM"),
        ("retention", "logs_days", 8, "one of 1, 3, 5"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected(
    context: dict[str, Any], section: str, key: str, value: object, expected: str
) -> None:
    context["stages"]["dev"].setdefault(section, {})[key] = value
    said = _refusal(context)
    assert said.startswith(f"{section}.{key} of stage dev must be {expected}")
    assert said.endswith("(cdk.json)")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("account", 111122223333, "account number of twelve digits"),
        ("account", "1111", "account number of twelve digits"),
        ("notification_emails", "a@example.com", "a list"),
        ("notification_emails", ["nobody"], "an e-mail address"),
        ("jobs", 3, "mapping"),
        ("engine", "spark", "engine of stage dev must be one of auto, lambda, glue"),
    ],
)
def test_a_wrong_value_at_the_top_is_refused_too(
    context: dict[str, Any], key: str, value: object, expected: str
) -> None:
    context["stages"]["dev"][key] = value
    assert expected in _refusal(context)


def test_reading_the_configuration_needs_the_standard_library_only() -> None:
    program = "import sys, stacks.config; print([m for m in sys.modules if m.startswith('aws_cdk')])"
    told = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=CDK_JSON.parent, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"
