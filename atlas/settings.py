"""What crosses each boundary, one frozen dataclass per boundary, spelled in one place.

Lambdas get theirs as environment variables (`ATLAS_BUCKET`), Glue jobs as arguments (`--process_date`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Self, get_type_hints

from atlas import lake
from atlas.timestamps import parse_time


class SettingsError(ValueError):
    """A setting is missing or unreadable; the message names it."""


def _parse(name: str, kind: Any, text: str) -> Any:
    try:
        if kind is date:
            return lake.parse_day(text)
        if kind is datetime:
            return _moment(text)
        return kind(text)
    except ValueError as fault:
        raise SettingsError(f"{name}: {fault}") from fault


def _moment(text: str) -> datetime:
    moment = parse_time(text)
    if moment is None:
        raise ValueError(f"{text!r} is not a time: expected ISO 8601, such as 2024-11-30T00:20:00Z")
    return moment


def _build(cls: type[Any], spelled: Mapping[str, str], values: Mapping[str, str], remedy: str) -> Any:
    missing = [name for name in spelled.values() if not values.get(name)]
    if missing:
        raise SettingsError(f"{', '.join(missing)} missing: {remedy}")
    kinds = get_type_hints(cls)
    return cls(**{field: _parse(name, kinds[field], values[name]) for field, name in spelled.items()})


class _Environment:
    @classmethod
    def _spelled(cls) -> dict[str, str]:
        return {field.name: "ATLAS_" + field.name.upper() for field in dataclasses.fields(cls)}  # type: ignore[arg-type]

    def to_env(self) -> dict[str, str]:
        """The environment variables from which `from_env` builds an equal value."""
        return {name: str(getattr(self, field)) for field, name in self._spelled().items()}

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Raises SettingsError, which names each variable that is missing or unreadable."""
        built = _build(cls, cls._spelled(), environ, "set these environment variables")
        assert isinstance(built, cls)  # noqa: S101 - for the type checker
        return built


class _Arguments:
    @classmethod
    def _spelled(cls) -> dict[str, str]:
        return {field.name: "--" + field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]

    def to_args(self) -> dict[str, str]:
        """Glue job arguments, `--name` to value, from which `from_args` builds an equal value."""
        return {name: str(getattr(self, field)) for field, name in self._spelled().items()}

    @classmethod
    def from_args(cls, argv: Sequence[str]) -> Self:
        """Reads `--name value` and `--name=value`; leaves Glue's own arguments (`--JOB_NAME` ...) alone.

        Raises SettingsError, which names each argument that is missing or unreadable.
        """
        values: dict[str, str] = {}
        for position, word in enumerate(argv):
            name, equals, value = word.partition("=")
            if name in cls._spelled().values():
                following = argv[position + 1] if position + 1 < len(argv) else ""
                values[name] = value if equals else following
        built = _build(cls, cls._spelled(), values, "pass these job arguments")
        assert isinstance(built, cls)  # noqa: S101 - for the type checker
        return built


@dataclass(frozen=True)
class IngestSettings(_Environment):
    """What the ingestion Lambda is told."""

    bucket: str
    ledger_table: str
    part_megabytes: int = 128
    """How much text a validated object holds before the next part begins, in MiB."""


@dataclass(frozen=True)
class DaySettings(_Environment):
    """What the day function is told by the stack; its event names the day and the run."""

    bucket: str
    ledger_table: str
    topic_arn: str
    ingest_queue: str
    """The name of the queue that ingestion takes its orders from."""
    metrics_namespace: str


@dataclass(frozen=True)
class JobSettings(_Arguments):
    """What both Glue jobs are told; the day and the run come with each run, the rest from the stack."""

    bucket: str
    ledger_table: str
    topic_arn: str
    ingest_queue: str
    metrics_namespace: str
    process_date: date
    run_id: str
    as_of: datetime
    """When the run was asked for: events that were accepted long before that have been lost on their way."""

    @classmethod
    def of_run(cls, told: DaySettings, run: Mapping[str, str]) -> Self:
        """What the stack tells the day function, and the state machine of a run. Raises SettingsError."""
        values = {**dataclasses.asdict(told), **run}
        built = _build(cls, {field.name: field.name for field in dataclasses.fields(cls)}, values, "name them")
        assert isinstance(built, cls)  # noqa: S101 - for the type checker
        return built


@dataclass(frozen=True)
class TokenSettings(_Environment):
    """What the token function is told. The names of all clients' secrets begin with `client_secrets`."""

    stage: str
    signing_key: str
    client_secrets: str


@dataclass(frozen=True)
class AuthorizerSettings(_Environment):
    """What the authorizer is told. `audience` is what tokens must be for: see atlas/access.py."""

    stage: str
    audience: str
    signing_key: str
    client_secrets: str


@dataclass(frozen=True)
class ForwarderSettings(_Environment):
    """What the forwarder is told."""

    bucket: str
    ledger_table: str
    delivery_stream: str


@dataclass(frozen=True)
class RotationSettings(_Environment):
    """What the rotation function is told: by their names it tells keys from clients' secrets."""

    signing_key: str
    client_secrets: str


@dataclass(frozen=True)
class QuerySettings(_Environment):
    """What the query API's function is told."""

    bucket: str
    database: str
    workgroup: str
    """The API's own: see Names.api_workgroup."""
    stage: str
