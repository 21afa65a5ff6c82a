"""What the API answers, and what its OpenAPI document says of it. Days are UTC days unless a zone is named."""

from __future__ import annotations

from datetime import date as Date  # noqa: N812 - so that a field may be called `date`
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0)]
Counts = dict[str, Count]
StatusClass = Annotated[str, Field(examples=["2xx", "5xx", "(none)", "(other)"])]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null")


class Span(_Answer):
    """The days that were asked for, both included."""

    from_: Annotated[Date, Field(alias="from")]
    to: Date


# Sign-ins
class SourceLogins(_Answer):
    """Sign-ins by way of one source."""

    source: Annotated[str, Field(description="`events`: the events API; `logs`: log files")]
    logins: Count
    users: Annotated[Count, Field(description="Distinct users")]


class LoginsToday(_Answer):
    """Sign-ins since midnight, in the zone that was asked for."""

    zone: str
    date: Annotated[Date, Field(description="Today, in that zone")]
    from_: Annotated[datetime, Field(alias="from", description="When that day began, UTC")]
    to: Annotated[datetime, Field(description="When it ends, UTC")]
    logins: Count
    users: Annotated[Count, Field(description="Distinct users, of all sources together")]
    sources: list[SourceLogins]
    note: Annotated[str | None, Field(description="What the numbers do not hold yet")]


class DayLogins(_Answer):
    """One day's sign-ins by way of one source."""

    date: Date
    source: str
    logins: Count
    users: Annotated[Count, Field(description="Distinct users of that day and source")]


class Logins(Span):
    """Sign-ins of some days."""

    items: list[DayLogins]


# Activity
class DailyActivity(_Answer):
    """One day. Each map's values sum to `total_requests`."""

    date: Date
    day_of_week: str
    total_requests: Count
    total_errors: Annotated[Count, Field(description="With status 400 or above, or level ERROR or worse")]
    error_rate: Share
    unique_ips: Count
    requests_by_device: Counts
    requests_by_type: Counts
    requests_by_status: Counts
    requests_by_app: Counts
    run_id: Annotated[str, Field(description="The run that published the day")]


class DailyActivities(Span):
    """Activity of some days; a day that was never processed is not among the items."""

    items: list[DailyActivity]


class Hour(_Answer):
    """One hour of one application and log type."""

    hour: Annotated[int, Field(ge=0, le=23)]
    app_name: str
    log_type: str
    requests: Count
    errors_4xx: Count
    errors_5xx: Count
    unique_ips: Count
    p50_duration_ms: Annotated[Milliseconds | None, Field(description="null if nothing has a duration")]
    p95_duration_ms: Milliseconds | None


class HourlyActivity(_Answer):
    """The hours of one day that had records."""

    date: Date
    items: list[Hour]


class Endpoint(_Answer):
    """One endpoint and method of one application; `(other)` is what is beyond a day's 1,000 largest."""

    app_name: str
    request_type: str
    endpoint: str
    requests: Count
    errors: Count
    error_rate: Share
    p95_duration_ms: Annotated[Milliseconds | None, Field(description="Of the slowest of the days")]


class Endpoints(Span):
    """The endpoints with the most requests, over some days."""

    items: list[Endpoint]


class DayEndpoints(_Answer):
    """The endpoints with the most requests of one day."""

    date: Date
    items: list[Endpoint]


class EndpointErrors(_Answer):
    """Errors of one endpoint, by class of status."""

    app_name: str
    request_type: str
    endpoint: str
    status_class: StatusClass
    errors: Count


class Errors(_Answer):
    """All errors of one day; the items sum to `total_errors`."""

    date: Date
    total_errors: Count
    items: list[EndpointErrors]


# The books
class Books(_Answer):
    """What came of one format on one day, and what became of it."""

    date: Date
    raw_format: Annotated[str, Field(description="`events`: the events API; `(none)`: nothing came")]
    outcome: Annotated[
        Literal["published", "failed"],
        Field(description="`failed`: the last attempt at the day; what was published before it stands"),
    ]
    files: Count
    records_in: Count
    published: Count
    duplicates: Annotated[Count | None, Field(description="null in an attempt that never counted them")]
    rejected: Count
    balanced: Annotated[bool, Field(description="Published, and records_in = published + duplicates + rejected")]


class BooksOfDays(Span):
    """The books of some days; a day that was never processed has none."""

    items: list[Books]


class BooksOfDay(_Answer):
    """The books of one day; none if it was never processed."""

    date: Date
    items: list[Books]


class Refusal(_Answer):
    """One record that was refused."""

    place: Annotated[int, Field(ge=1, description="In the order of the day's refusals, from 1")]
    reason: str
    meaning: Annotated[str, Field(description="The reason, for people")]
    detail: Annotated[str | None, Field(description="The column or field at fault, where there is one")]
    raw_format: str
    source_file: Annotated[str, Field(description="The object that held it; `events/<client>` of an event")]
    source_line: Annotated[int | None, Field(description="Line or element in the source, place in the request")]
    raw: Annotated[str | None, Field(description="The record's text")]
    raw_cut: Annotated[bool, Field(description="Whether `raw` is only the beginning of it")]


class Refusals(_Answer):
    """Refused records of one day, a page of them."""

    date: Date
    in_all: Annotated[Count, Field(description="How many the day has")]
    items: list[Refusal]
    next: Annotated[str | None, Field(description="The parameter `next` of the following page; null on the last")]


class Freshness(_Answer):
    """How far gold is."""

    today: Date
    last_published: Annotated[Date | None, Field(description="The latest day that is published; null if none is")]
    published_at: Annotated[datetime | None, Field(description="When that day was last published, UTC")]
    days_behind: Annotated[int | None, Field(description="Days after the last published one, up to yesterday")]
    days_published: Annotated[Count, Field(description="Of the 30 days before today")]
    days_missing: Annotated[Count, Field(description="Of the 30 days before today")]


# Other
class Running(_Answer):
    """The answer takes longer than a request may: look for it at `answer`, relative to the API's root."""

    status: Literal["running"] = "running"
    answer: str


class Health(_Answer):
    """That the API runs, and for which stage."""

    status: Literal["ok"] = "ok"
    stage: str


class ProblemField(BaseModel):
    """One parameter at fault."""

    parameter: str
    detail: str


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    errors: list[ProblemField] | None = None
