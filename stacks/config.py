"""A stage's configuration, typed, from the context of cdk.json. Standard library only: the CLI reads it too.

`defaults` holds every key; `stages` holds for each stage only what differs. A key that is unknown, missing or
of the wrong type is an error that names its path, what was expected, and where to write it.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

CDK_JSON = Path(__file__).resolve().parent.parent / "cdk.json"


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the key, what is expected, and where."""


@dataclass(frozen=True)
class Between:
    """Bounds of a number, both included."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def allows(self, value: Any) -> bool:
        """Tell whether the value keeps within the bounds."""
        return self.low <= int(value) <= self.high


@dataclass(frozen=True)
class Matching:
    """A form of text, and how to tell people about it."""

    pattern: str
    description: str

    def __str__(self) -> str:
        return self.description

    def allows(self, value: Any) -> bool:
        """Tell whether the whole text has the form."""
        return re.fullmatch(self.pattern, str(value)) is not None


Days = Annotated[int, Between(1, 3650)]
Percent = Annotated[int, Between(1, 100)]
Account = Annotated[str, Matching(r"[0-9]{12}", "an AWS account number of twelve digits")]
Region = Annotated[str, Matching(r"[a-z]{2}(-[a-z]+)+-[0-9]", "an AWS region, such as eu-central-1")]
Email = Annotated[str, Matching(r"[^@\s]+@[^@\s]+", "an e-mail address")]
Database = Annotated[str, Matching(r"[a-z0-9_]{1,128}", "lower-case letters, digits and underscores")]
TimeOfDay = Annotated[str, Matching(r"([01][0-9]|2[0-3]):[0-5][0-9]", "a UTC time as HH:MM")]
LogDays = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653]
"""What CloudWatch Logs takes."""


@dataclass(frozen=True)
class IngestionConfig:
    """The ingestion Lambda and its queue."""

    memory_mb: Annotated[int, Between(128, 10240)]
    timeout_seconds: Annotated[int, Between(30, 900)]
    ephemeral_storage_mb: Annotated[int, Between(512, 10240)]
    max_concurrency: Annotated[int, Between(2, 1000)]
    """How many batches of the queue are worked on at once: SQS's own bounds are 2 and 1000."""
    part_megabytes: Annotated[int, Between(1, 1024)]


@dataclass(frozen=True)
class DayConfig:
    """The function that does a day's work on one machine."""

    memory_mb: Annotated[int, Between(512, 10240)]
    timeout_seconds: Annotated[int, Between(60, 900)]
    ephemeral_storage_mb: Annotated[int, Between(512, 10240)]
    max_megabytes: Annotated[int, Between(1, 1048576)]
    """Up to how much text, in MiB, a day is the function's if the engine is `auto`: see docs/performance.md."""
    max_concurrency: Annotated[int, Between(1, 1000)] | None
    """How many days at once, set aside from the account's own bound. Absent: as many as the account lets run."""


@dataclass(frozen=True)
class JobsConfig:
    """The two Glue jobs."""

    worker_type: Literal["G.1X", "G.2X", "G.4X", "G.8X"]
    max_workers: Annotated[int, Between(2, 100)]
    timeout_minutes: Annotated[int, Between(5, 1440)]


@dataclass(frozen=True)
class EventsConfig:
    """The events API: gateway, forwarder, delivery stream, rotation of keys."""

    client_requests_per_second: Annotated[int, Between(1, 10_000)]
    """Of each client; the usage plan's rate. In a burst twice as many."""
    requests_per_second: Annotated[int, Between(1, 10_000)]
    """Of all clients together; the stage's rate. In a burst twice as many."""
    max_concurrency: Annotated[int, Between(2, 1000)]
    """How many batches the forwarder works on at once."""
    buffer_seconds: Annotated[int, Between(60, 900)]
    """How long the delivery stream gathers events before it writes them."""
    rotation_days: Annotated[int, Between(1, 365)]
    """How often the signing key and the clients' secrets are renewed."""


@dataclass(frozen=True)
class OrchestrationConfig:
    """The state machine and its schedules."""

    schedules_enabled: bool
    daily_at_utc: TimeOfDay
    sweep_minutes: Annotated[int, Between(5, 1440)]
    concurrent_days: Annotated[int, Between(1, 20)]
    crawl_poll_seconds: Annotated[int, Between(1, 300)]
    crawl_timeout_minutes: Annotated[int, Between(5, 1440)]


@dataclass(frozen=True)
class QueriesConfig:
    """The Athena workgroup."""

    scan_cutoff_gb: Annotated[int, Between(1, 100_000)]
    """A query is cancelled once it has read that much."""


@dataclass(frozen=True)
class QueryApiConfig:
    """The query API: its gateway, its function, its own workgroup."""

    requests_per_second: Annotated[int, Between(1, 10_000)]
    """Of all clients together. In a burst twice as many."""
    memory_mb: Annotated[int, Between(256, 10240)]
    scan_cutoff_gb: Annotated[int, Between(1, 100_000)]
    """A query is cancelled once it has read that much."""


@dataclass(frozen=True)
class AlarmsConfig:
    """When people are told: see docs/runbook.md."""

    refused_files_percent: Percent
    refused_records_percent: Percent
    queue_age_minutes: Annotated[int, Between(5, 1440)]
    queue_depth: Annotated[int, Between(1, 10_000_000)]
    execution_hours: Annotated[int, Between(1, 48)]
    gold_by_utc: TimeOfDay
    """By when yesterday has to have been published."""

    @property
    def gold_by_hours(self) -> float:
        """The same in hours since midnight, to the hundredth."""
        hour, minute = map(int, self.gold_by_utc.split(":"))
        return round(hour + minute / 60, 2)


EVENT_FUNCTIONS_MB = 512
"""Memory of each function of the events API. A share of a processor comes with it: with less, a new process takes
seconds for its first call to AWS."""
DERIVED_VERSIONS_DAYS = 1
"""How long old versions of what can be made again are kept: silver, which each run of a day replaces, would come to
many times what it holds."""


@dataclass(frozen=True)
class RetentionConfig:
    """How long things are kept, in days."""

    logs_days: LogDays
    validated_days: Days
    """A day that is processed again later than that has its validated objects written anew, from the archive."""
    manifests_days: Days
    archive_to_glacier_days: Days
    """To Glacier Instant Retrieval, from which a file can be read at once. The archive never expires."""
    rejected_days: Days
    query_results_days: Days
    noncurrent_versions_days: Days
    """Old versions of what cannot be made again in a moment; see DERIVED_VERSIONS_DAYS for the rest."""
    access_logs_days: Days


@dataclass(frozen=True)
class StageConfig:
    """Everything in which one stage differs from another."""

    stage: str
    account: Account | None
    """Absent, as the region may be: those of the credentials that deploy."""
    region: Region | None
    architecture: Literal["arm64", "x86_64", "host"]
    """`host`: that of this machine, whose Python runs the functions of the local cloud."""
    database: Database
    removal: Literal["retain", "destroy"]
    """`retain`: what holds data is protected, and outlives its stack. `destroy`: it goes with the stack."""
    encryption: Literal["aws", "customer"]
    """Whose key encrypts what is at rest: `customer` is a key of the account's own, one a stage."""
    notification_emails: tuple[Email, ...]
    runbook_url: Annotated[str, Matching(r"\S+", "where docs/runbook.md can be read, as a path or a URL")]
    """What alarms link to."""
    monthly_budget_usd: Annotated[int, Between(1, 10_000_000)] | None
    """Absent: no budget."""
    engine: Literal["auto", "lambda", "glue"]
    """What processes a day unless a request says otherwise; `auto` goes by the day's size."""
    ingestion: IngestionConfig
    day: DayConfig
    jobs: JobsConfig
    events: EventsConfig
    orchestration: OrchestrationConfig
    queries: QueriesConfig
    query_api: QueryApiConfig
    alarms: AlarmsConfig
    retention: RetentionConfig

    @classmethod
    def load(cls, stage: str | None, context: Mapping[str, Any]) -> StageConfig:
        """Build the configuration of `stage` from a CDK context. Raises ConfigError."""
        stages = _section(context, "stages")
        choices = ", ".join(sorted(stages))
        if not stage:
            raise ConfigError(f"no stage is chosen: add -c stage=NAME, where NAME is one of {choices}")
        if stage not in stages:
            raise ConfigError(f"stage {stage!r} is unknown: cdk.json defines {choices}")
        settings = _section(context, "defaults")
        _check_keys(cls, stages[stage], f"context.stages.{stage}", complete=False)
        merged = _merge(settings, stages[stage])
        built = _build(cls, {**merged, "stage": stage}, stage, "")
        assert isinstance(built, cls)  # noqa: S101 - for the type checker
        return built


def read_context(path: Path = CDK_JSON) -> dict[str, Any]:
    """The context of cdk.json, for programs that the CDK does not hand it to."""
    context: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["context"]
    return context


def _section(context: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = context.get(name)
    if not isinstance(section, Mapping):
        raise ConfigError(f"context.{name} is missing or not a mapping: write it in cdk.json")
    return section


def _merge(defaults: Mapping[str, Any], differences: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(defaults)
    for key, value in differences.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(below, value) if both and below is not None else value
    return merged


def _check_keys(kind: type[Any], values: Any, path: str, *, complete: bool) -> None:
    """Refuse keys that nobody reads, so that a misspelt one cannot pass for a setting."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path} must be a mapping of settings, but is {values!r} (cdk.json)")
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name != "stage"}
    for key, value in values.items():
        if key not in hints:
            raise ConfigError(f"{path}.{key} is unknown: expected one of {', '.join(hints)} (cdk.json)")
        if dataclasses.is_dataclass(hints[key]):
            _check_keys(hints[key], value, f"{path}.{key}", complete=complete)
    for key, hint in hints.items():
        if complete and key not in values and NoneType not in get_args(hint):
            raise ConfigError(f"{path}.{key} is missing: give it in context.defaults (cdk.json)")


def _build(kind: type[Any], values: Mapping[str, Any], stage: str, path: str) -> Any:
    if not path:
        named = {key: value for key, value in values.items() if key != "stage"}
        _check_keys(kind, named, "context.defaults", complete=True)
    built = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        inner = f"{path}.{name}" if path else name
        if dataclasses.is_dataclass(hint):
            assert isinstance(hint, type)  # noqa: S101 - for the type checker
            built[name] = _build(hint, values[name], stage, inner)
        else:
            built[name] = _value(hint, values.get(name), f"{inner} of stage {stage}")
    return kind(**built)


def _value(hint: Any, value: Any, where: str) -> Any:
    """`value` if it is what `hint` says, else an error that says what was expected."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        if value is None and NoneType in get_args(hint):
            return None
        return _value(next(part for part in get_args(hint) if part is not NoneType), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _unexpected(where, "a list", value)
        return tuple(
            _value(get_args(hint)[0], item, f"{where}, item {number}") for number, item in enumerate(value)
        )
    if origin is Literal:
        if value not in get_args(hint) or isinstance(value, bool):
            raise _unexpected(where, "one of " + ", ".join(map(str, get_args(hint))), value)
        return value
    if origin is Annotated:
        plain, rule = get_args(hint)
        if not _has_type(value, plain) or not rule.allows(value):
            raise _unexpected(where, str(rule), value)
        return value
    if not _has_type(value, hint):
        raise _unexpected(where, "true or false" if hint is bool else f"a {hint.__name__}", value)
    return value


def _has_type(value: Any, kind: type[Any]) -> bool:
    """JSON's true is not a number, although Python's True is."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _unexpected(where: str, expected: str, value: Any) -> ConfigError:
    return ConfigError(f"{where} must be {expected}, but is {json.dumps(value)} (cdk.json)")
