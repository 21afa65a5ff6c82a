from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.settings import IngestSettings, JobSettings, SettingsError

moments = st.datetimes(timezones=st.just(UTC))
words = st.text(min_size=1).filter(lambda text: not text.startswith("--"))


@given(st.builds(JobSettings, words, words, words, words, words, st.dates(), words, moments))
def test_job_settings_survive_glue_and_its_own_arguments(settings: JobSettings) -> None:
    given_ones = [word for pair in settings.to_args().items() for word in pair]
    argv = ["--JOB_ID", "j_1", "true", *given_ones, "--JOB_RUN_ID", "jr_1", "--JOB_NAME", "atlas-normalize-dev"]
    assert JobSettings.from_args(argv) == settings
    assert JobSettings.from_args([f"{name}={value}" for name, value in settings.to_args().items()]) == settings


@given(words, words, st.integers(1, 10**6))
def test_lambda_settings_survive_the_environment(bucket: str, table: str, part: int) -> None:
    settings = IngestSettings(bucket, table, part)
    assert IngestSettings.from_env({"PATH": "/bin", **settings.to_env()}) == settings


def test_missing_and_unreadable_settings_are_named() -> None:
    at = datetime(2024, 11, 30, tzinfo=UTC)
    settings = JobSettings("b", "l", "t", "q", "m", date(2024, 11, 29), "r", at).to_args()
    with pytest.raises(SettingsError, match="--run_id missing"):
        JobSettings.from_args([f"{n}={v}" for n, v in settings.items() if n != "--run_id"])
    with pytest.raises(SettingsError, match="--process_date: '29.11.2024' is not a day"):
        JobSettings.from_args([f"{n}={v}" for n, v in (settings | {"--process_date": "29.11.2024"}).items()])
    with pytest.raises(SettingsError, match="--as_of: 'today' is not a time"):
        JobSettings.from_args([f"{n}={v}" for n, v in (settings | {"--as_of": "today"}).items()])
    with pytest.raises(SettingsError, match="ATLAS_PART_MEGABYTES: .*'many'"):
        IngestSettings.from_env(replace(IngestSettings("b", "l")).to_env() | {"ATLAS_PART_MEGABYTES": "many"})
