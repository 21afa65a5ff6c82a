"""The query API's function on stand-ins: an Athena that answers what it is told to, a lake, a catalog, a clock."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from mangum import Mangum

from atlas import lake, questions, schema
from atlas.settings import QuerySettings
from lambda_query.app import Clients, create_app
from lambda_query.clocks import Clocks
from lambda_query.gate import by_authorizer

SETTINGS = QuerySettings(bucket="lake", database="logs", workgroup="atlas-api-local", stage="local")
QUESTIONS = questions.load()
NOW = datetime(2024, 12, 1, 10, 30, tzinfo=UTC)
FRIDAY = date(2024, 11, 29)
SATURDAY = date(2024, 11, 30)

Rows = Sequence[Mapping[str, Any]]
Answering = Callable[[str, Sequence[str]], Rows]
"""A question's name and its literals -> rows."""


@dataclass
class Clock:
    """Moves when somebody sleeps, or is told to."""

    now: datetime = NOW

    @property
    def clocks(self) -> Clocks:
        return Clocks(lambda: self.now.timestamp(), lambda: self.now, self.pass_by)  # noqa: PLW0108 - `now` moves

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Lake:
    """Objects by key, as a listing shows them."""

    clock: Clock
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    listings: int = 0

    def put(self, key: str) -> None:
        self.objects[key] = {"Key": key, "ETag": f'"{uuid.uuid4().hex}"', "LastModified": self.clock.now}

    def publish(self, day: date) -> None:
        self.put(lake.gold_key(schema.DATA_QUALITY.name, day))

    def get_paginator(self, operation: str) -> Lake:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        assert asked["Bucket"] == SETTINGS.bucket
        begins, after = asked["Prefix"], asked.get("StartAfter", "")
        found = [self.objects[key] for key in sorted(self.objects) if key.startswith(begins) and key > after]
        size = asked.get("PaginationConfig", {}).get("PageSize", 1000)
        for start in range(0, len(found), size) or [0]:
            self.listings += 1
            yield {"Contents": found[start : start + size]} if found else {}


@dataclass
class Catalog:
    """Partitions by table, with when they were entered."""

    clock: Clock
    entered: dict[tuple[str, ...], datetime] = field(default_factory=dict)

    def enter(self, day: date) -> None:
        for table in schema.CRAWLED_TABLES:
            for values in ([day.isoformat()], [*lake.day_values(day)]):
                self.entered.setdefault((table.name, *values), self.clock.now)

    def batch_get_partition(self, **asked: Any) -> dict[str, Any]:
        assert asked["DatabaseName"] == SETTINGS.database
        keys = [(asked["TableName"], *wanted["Values"]) for wanted in asked["PartitionsToGet"]]
        return {"Partitions": [{"CreationTime": self.entered[key]} for key in keys if key in self.entered]}


@dataclass
class Started:
    """A query."""

    text: str
    literals: list[str]
    workgroup: str
    ends: datetime
    rows: Rows
    reused: bool
    reuse_minutes: int


@dataclass
class AthenaStandIn:
    """Answers by question. It reuses results as AWS may: by text without comments, parameters and age only."""

    clock: Clock
    answering: Answering
    seconds: float = 0.0
    fails: dict[str, Any] | None = None
    """The status of every query that ends, if it is to fail."""
    raises: ClientError | None = None
    while_running: Callable[[], None] = lambda: None
    started: dict[str, Started] = field(default_factory=dict)

    def start_query_execution(self, **asked: Any) -> dict[str, str]:
        if self.raises:
            raise self.raises
        assert asked["QueryExecutionContext"] == {"Database": SETTINGS.database}
        sql = asked["QueryString"].partition("\n")[2]
        [question] = [found for found in QUESTIONS.values() if found.sql == sql]
        literals = asked.get("ExecutionParameters", [])
        reuse = asked["ResultReuseConfiguration"]["ResultReuseByAgeConfiguration"]
        minutes = reuse.get("MaxAgeInMinutes", 0) if reuse["Enabled"] else 0
        oldest = self.clock.now - timedelta(minutes=minutes)
        same = [
            found
            for found in self.started.values()
            if minutes and found.text.partition("\n")[2] == sql and found.literals == literals
            and oldest <= found.ends <= self.clock.now
        ]  # fmt: skip
        rows = same[-1].rows if same else self.answering(question.name, literals)
        ends = self.clock.now + timedelta(seconds=0 if same else self.seconds)
        execution = str(uuid.uuid4())
        self.started[execution] = Started(
            asked["QueryString"], literals, asked["WorkGroup"], ends, rows, bool(same), minutes
        )
        self.while_running()
        return {"QueryExecutionId": execution}

    def get_query_execution(self, **asked: str) -> dict[str, Any]:
        found = self.started.get(asked["QueryExecutionId"])
        if found is None:
            told = {
                "Code": "InvalidRequestException",
                "Message": "QueryExecution was not found",
            }
            raise ClientError({"Error": told}, "GetQueryExecution")  # type: ignore[typeddict-item]
        status = {"State": "RUNNING"} if self.clock.now < found.ends else self.fails or {"State": "SUCCEEDED"}
        information = {"ReusedPreviousResult": found.reused}
        return {
            "QueryExecution": {
                "Query": found.text,
                "WorkGroup": found.workgroup,
                "Status": status,
                "Statistics": {"ResultReuseInformation": information},
            }
        }

    def get_query_results(self, **asked: Any) -> dict[str, Any]:
        rows = self.started[asked["QueryExecutionId"]].rows
        names = list(rows[0]) if rows else []
        kinds = {int: "bigint", float: "double", bool: "boolean"}
        columns = [
            {
                "Name": name,
                "Type": next((kinds[type(row[name])] for row in rows if type(row[name]) in kinds), "varchar"),
            }
            for name in names
        ]
        written = [dict.fromkeys(names, None) | {name: name for name in names}, *rows]
        start, most = int(asked.get("NextToken", 0)), asked["MaxResults"]
        page = written[start : start + most]
        told: dict[str, Any] = {
            "ResultSet": {
                "Rows": [{"Data": [_cell(row[name]) for name in names]} for row in page],
                "ResultSetMetadata": {"ColumnInfo": columns},
            }
        }
        return told | ({"NextToken": str(start + most)} if start + most < len(written) else {})


def _cell(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    return {"VarCharValue": str(value).lower() if isinstance(value, bool) else str(value)}


@dataclass(frozen=True)
class Answer:
    """What the gateway is answered."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def etag(self) -> str | None:
        return self.headers.get("etag")


@dataclass
class QueriesUnderTest:
    """The function, and what it stands on. `told` has the line of each request."""

    athena: AthenaStandIn
    lake: Lake
    catalog: Catalog
    clock: Clock
    told: list[Mapping[str, Any]]
    how: Mapping[str, Any]
    app: Any = None

    def restart(self) -> None:
        """Another instance of the function: it has kept nothing."""
        clients = Clients(self.athena, self.lake, self.catalog)
        self.app = create_app(
            SETTINGS, clients, by_authorizer, self.told.append, clocks=self.clock.clocks, **self.how
        )

    def reset(self) -> None:
        """As it was made, but for what it has kept: of versions that no lake will have again."""
        self.clock.now = NOW
        self.told.clear()
        self.lake.objects.clear()
        self.catalog.entered.clear()
        vars(self.athena).update(vars(AthenaStandIn(self.clock, self.athena.answering)))

    def get(self, url: str, headers: Mapping[str, str] | None = None, **how: Any) -> Answer:
        """As a client that may ask, over an HTTP API: payload 2.0."""
        path, _, query = url.partition("?")
        authorizer = how.get("authorizer", {"lambda": {"client_id": "shop"}})
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {"host": "api.example", **(headers or {})},
            "requestContext": {
                "http": {"method": how.get("method", "GET"), "path": path, "sourceIp": "192.0.2.1"},
                **({"authorizer": authorizer} if authorizer is not None else {}),
            },
            "isBase64Encoded": False,
        }
        got: Any = Mangum(self.app, lifespan="off", text_mime_types=["text/", "json"])(event, None)  # type: ignore[arg-type]
        return Answer(got["statusCode"], got.get("headers", {}), got.get("body", ""))


def queries_under_test(answering: Answering, **how: Any) -> QueriesUnderTest:
    """`how` is what create_app takes by name."""
    logging.getLogger("mangum").setLevel(logging.WARNING)
    clock = Clock()
    made = QueriesUnderTest(AthenaStandIn(clock, answering), Lake(clock), Catalog(clock), clock, [], how)
    made.restart()
    return made
