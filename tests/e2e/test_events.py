"""The events API through its real endpoint, on the stacks that deploy. The tests build on each other, in order."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atlas import access, events, lake
from atlas.names import Names
from atlas_cli import client, dead_letters
from atlas_cli.cloud import Cloud
from atlas_cli.console import Say
from atlas_cli.local.emulator import Emulator
from atlas_cli.query import ask
from atlas_cli.run import run
from atlas_cli.status import dirty_days
from examples.load import WatchedClient, load
from tests.e2e.api_fuzz import fuzz
from tests.e2e.days import wait
from tests.e2e.sending import (
    Busy,
    Heard,
    Registered,
    ask_for_token,
    client_of,
    event,
    faults,
    forged,
    post,
    register,
    rotate_signing_key,
    signing_key,
    token_of,
)

NAMES = Names("local")
LOAD = 1500
SWITCHED_SECONDS = 40
"""By when tokens are signed with a new key: lambda_events/signing_keys.py."""
GONE_SECONDS = 15
"""By when every container of the authorizer has forgotten a client or a key."""

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def shop(cloud: Cloud) -> Registered:
    return register(cloud, "shop")


@pytest.fixture(scope="module", autouse=True)
def busy(cloud: Cloud) -> Iterator[Busy]:
    """Sends all the time from here on, while the signing key has just been rotated."""
    sender = Busy(cloud, register(cloud, "busy"))
    with patience(cloud, seconds=20, attempts=50):  # what a busy machine fails to do is tried again soon
        sender.start()
        wait(lambda: sender.ids, bool)
        rotate_signing_key(cloud)
        yield sender
        sender.stop()


@contextmanager
def patience(cloud: Cloud, seconds: int, attempts: int) -> Iterator[None]:
    """The events queue, with less patience than six minutes and five attempts; afterwards as the stack left it."""
    queue = cloud.queue_url(NAMES.events_queue)
    names: Any = ["VisibilityTimeout", "RedrivePolicy"]
    deployed: Any = cloud.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    policy = {**json.loads(deployed["RedrivePolicy"]), "maxReceiveCount": attempts}
    other: Any = {"VisibilityTimeout": str(seconds), "RedrivePolicy": json.dumps(policy)}
    cloud.sqs.set_queue_attributes(QueueUrl=queue, Attributes=other)
    try:
        yield
    finally:
        cloud.sqs.set_queue_attributes(QueueUrl=queue, Attributes=deployed)


def found(cloud: Cloud, client_id: str) -> list[dict[str, Any]]:
    """A client's events by Athena, as they lie there: perhaps more than once."""
    return ask(cloud, f"SELECT * FROM events WHERE client_id = '{client_id}' ORDER BY received_at, position", {})


def test_events_that_were_sent_are_found_in_athena_with_their_clients_identity(
    cloud: Cloud, shop: Registered
) -> None:
    token = token_of(cloud, shop)
    long_ago = timedelta(days=1)
    batch = [
        event("login", event_id="6FA459EA-EE8A-3CA4-894E-DB77E160355E", properties={"page": "/é", "x": ""}),
        event("logout", long_ago, device="phone", ip_address="2001:db8::1"),
        event("login", event_id="6fa459ea-ee8a-3ca4-894e-db77e160355e"),
    ]
    began = datetime.now(UTC).replace(tzinfo=None)
    answer = post(cloud, "/events", batch, token)
    told = answer.json()
    assert (answer.status, told["accepted"]) == (202, 3)
    assert told["request_id"] == answer.headers["x-amz-apigw-id"]
    assert told["event_ids"][0] == batch[0]["event_id"]

    rows = wait(lambda: found(cloud, "shop"), lambda rows: len(rows) == 3)
    assert [row["position"] for row in rows] == [1, 2, 3]
    assert {row["request_id"] for row in rows} == {told["request_id"]}
    [received] = {datetime.fromisoformat(row["received_at"]) for row in rows}
    assert began - timedelta(seconds=1) < received < datetime.now(UTC).replace(tzinfo=None)
    milliseconds = str(int(received.replace(tzinfo=UTC).timestamp() * 1000))
    given = events.given_event_id(milliseconds, answer.headers["x-amzn-requestid"], 2)
    assert [row["event_id"] for row in rows] == [batch[0]["event_id"].lower(), given, batch[2]["event_id"]]
    assert told["event_ids"][1] == given
    assert [row["properties"] for row in rows] == ["{page=/é, x=}", None, None]
    moment = datetime.fromisoformat(batch[1]["timestamp"]).replace(tzinfo=None)
    assert rows[1]["event_timestamp"] == moment.isoformat(" ", "milliseconds")
    assert (rows[1]["hour"], rows[1]["device"], rows[1]["ip_address"]) == (f"{moment:%H}", "phone", "2001:db8::1")


def test_a_request_that_proves_nothing_or_holds_nothing_good_is_refused_with_the_right_status(
    cloud: Cloud, shop: Registered
) -> None:
    good, body = token_of(cloud, shop), event("forged")
    head, claims, signature = good.split(".")
    now = int(time.time())
    tokens = {
        "nothing": None,
        "a bad signature": f"{head}.{claims}.{signature[::-1]}",
        "no signature": f"{head}.{claims}.",
        "another key": forged(cloud, "shop", key="x" * 64),
        "alg none": forged(cloud, "shop", algorithm="none"),
        "another algorithm": forged(cloud, "shop", algorithm="HS512"),
        "expired": forged(cloud, "shop", iat=now - 3600, nbf=now - 3600, exp=now - 2400),
        "not yet": forged(cloud, "shop", nbf=now + 600, iat=now + 600, exp=now + 1200),
        "another audience": forged(cloud, "shop", aud=access.audience("local", access.QUERIES_API)),
        "another stage": forged(cloud, "shop", iss=access.issuer("prod")),
        "an unknown key": forged(cloud, "shop", kid="of-nobody"),
        "no such client": forged(cloud, "nobody"),
    }
    assert {why: post(cloud, "/events", body, token).status for why, token in tokens.items()} == dict.fromkeys(
        tokens, 401
    )
    refused = post(cloud, "/events", body, tokens["expired"])
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert refused.headers["content-type"] == "application/problem+json"

    bodies: dict[str, tuple[Any, int, str]] = {
        "sets its client": ({**body, "client_id": "other"}, 400, "client_id"),
        "sets its moment": ([body, {**body, "received_at": body["timestamp"]}], 400, "received_at"),
        "lacks what was done": ({"timestamp": body["timestamp"], "user_id": "u"}, 400, "action"),
        "is no JSON": ("action=forged", 400, ""),
        "has too many events": ([body] * 501, 400, "501"),
        "has none": ([], 400, "0 elements"),
        "is too long": ([event("forged", properties={"x": "x" * 1000, "y": "y" * 1000})] * 500, 413, "too long"),
        "holds what XML cannot": (
            json.dumps(event("forged", device="\ufffe"), ensure_ascii=False),
            400,
            "character",
        ),
    }
    for why, (sent, status, told) in bodies.items():
        answer = post(cloud, "/events", sent, good)
        assert (why, answer.status, answer.json()["status"]) == (why, status, status)
        assert told in answer.json()["detail"], why
    assert post(cloud, "/events", body, good, Content_Type="text/plain").status == 415
    assert post(cloud, "/elsewhere", body, good).status == 404


def test_a_client_that_is_known_may_not_all_the_same(cloud: Cloud, shop: Registered) -> None:
    """403: what it proves is true. And nobody learns from POST /token which clients there are."""
    outsider, keyless = register(cloud, "outsider"), register(cloud, "keyless")
    tokens = [token_of(cloud, outsider), token_of(cloud, keyless)]
    secrets, gateway = cloud.session.client("secretsmanager"), cloud.session.client("apigateway")
    tag: Any = {"Key": access.AUDIENCES_TAG, "Value": access.QUERIES_API}
    secrets.tag_resource(SecretId=NAMES.client_secret("outsider"), Tags=[tag])
    [key] = gateway.get_api_keys(nameQuery=NAMES.client_key("keyless"))["items"]
    gateway.delete_api_key(apiKey=key["id"])
    assert [post(cloud, "/events", event("forged"), token).status for token in tokens] == [403, 403]

    queries = access.audience("local", access.QUERIES_API)
    assert ask_for_token(cloud, shop, audience=queries).status == 403
    wrong = [ask_for_token(cloud, shop, client_secret="x" * 48), ask_for_token(cloud, shop, client_id="nobody")]
    assert [(answer.status, answer.json()["error"]) for answer in wrong] == [(401, "invalid_client")] * 2
    assert wrong[0].data == wrong[1].data


def test_a_load_under_failures_of_the_delivery_stream_ends_with_every_accepted_event_in_the_table(
    cloud: Cloud, running: Emulator
) -> None:
    sender = client_of(cloud, register(cloud, "load"), WatchedClient)
    with patience(cloud, seconds=5, attempts=50):
        with faults(running, before=1):  # for a while nothing is taken at all: requests go back to the queue
            load(sender, events=100, seconds=60, concurrency=1, batch=20)
            wait(lambda: _failed(cloud), bool)
        with faults(running, record=5, before=4, after=3):
            report = load(sender, events=LOAD, seconds=60, concurrency=4, batch=50)
            assert (report.refused, len(set(report.ids))) == (0, LOAD + 100)
            copies = wait(lambda: _copies(cloud), lambda copies: copies.keys() >= set(report.ids), 60, pause=0.5)
    assert copies.keys() == set(report.ids)
    assert max(copies.values()) > 1  # else nothing has failed


def _copies(cloud: Cloud) -> dict[str, int]:
    """How often each event of the load lies in the table."""
    question = "SELECT event_id, count(*) AS copies FROM events WHERE client_id = 'load' GROUP BY 1"
    return {row["event_id"]: row["copies"] for row in ask(cloud, question, {})}


def _failed(cloud: Cloud) -> list[str]:
    """What the forwarder said of batches of which something failed."""
    told = cloud.session.client("logs").filter_log_events(logGroupName=NAMES.forwarder_logs)["events"]
    lines = (line for entry in told for line in entry["message"].splitlines() if '"failed":["' in line)
    return list(lines)


def test_the_api_answers_as_its_document_says(cloud: Cloud) -> None:
    seen = fuzz(cloud.events_url, token_of(cloud, register(cloud, "fuzz")))
    assert {"/events 202", "/events 400", "/events 401", "/token 401", "/token 400"} <= set(seen)


def test_a_rotation_of_the_signing_key_in_the_middle_of_a_load_loses_nothing_and_refuses_nobody(
    cloud: Cloud, busy: Busy
) -> None:
    key = signing_key(cloud)
    wait(lambda: busy.kids, lambda kids: kids[-1] == key.kid, SWITCHED_SECONDS)
    time.sleep(1)
    busy.stop()
    assert busy.kids == ["initial", key.kid]
    assert busy.answers() == {"/token 200", "/events 202"}
    assert busy.loyal.report.answers["/token 200"] == 1
    wait(lambda: {row["event_id"] for row in found(cloud, "busy")}, lambda ids: ids == set(busy.ids), 60, 0.5)


def test_whoever_is_removed_or_has_a_key_that_was_rotated_out_gets_in_no_more(
    cloud: Cloud, shop: Registered
) -> None:
    old, leaver = token_of(cloud, shop), register(cloud, "leaver")
    left = token_of(cloud, leaver)
    assert [post(cloud, "/events", event("look"), token).status for token in (old, left)] == [202, 202]
    client.run(cloud, "remove", "leaver", Heard())
    assert ask_for_token(cloud, leaver).status == 401
    renewed = register(cloud, "shop", "rotate")
    assert token_of(cloud, shop)  # the secret that it had holds until the next rotation
    rotate_signing_key(cloud)
    assert post(cloud, "/events", event("look"), old).status == 202  # and so does the key
    last = register(cloud, "shop", "rotate")
    assert [ask_for_token(cloud, secret).status for secret in (shop, renewed, last)] == [401, 200, 200]
    rotate_signing_key(cloud)
    for token in (old, left):
        wait(lambda: post(cloud, "/events", event("look"), token).status, lambda s: s == 401, GONE_SECONDS)  # noqa: B023
    assert [post(cloud, "/events", event("look"), old).status for _ in range(5)] == [401] * 5
    assert post(cloud, "/events", event("look"), token_of(cloud, last)).status == 202


def test_a_client_that_sends_too_much_is_held_up_and_no_other(cloud: Cloud) -> None:
    tokens = [token_of(cloud, register(cloud, name)) for name in ("hasty", "calm")]
    gateway: Any = cloud.session.client("apigateway")
    [plan] = [plan for plan in gateway.get_usage_plans()["items"] if plan["name"] == NAMES.usage_plan]

    def throttle(**limits: float) -> None:
        operations = [{"op": "replace", "path": f"/throttle/{name}", "value": str(n)} for name, n in limits.items()]
        gateway.update_usage_plan(usagePlanId=plan["id"], patchOperations=operations)

    throttle(rateLimit=0.01, burstLimit=2)
    try:
        hasty = [post(cloud, "/events", event("hurry"), tokens[0]) for _ in range(3)]
        assert [answer.status for answer in hasty] == [202, 202, 429]
        assert hasty[-1].headers["retry-after"] == "1"
        assert post(cloud, "/events", event("hurry"), tokens[1]).status == 202
    finally:
        throttle(**plan["throttle"])


def test_requests_that_cannot_be_forwarded_wait_and_are_forwarded_when_they_are_sent_back(
    cloud: Cloud, running: Emulator, say: Say
) -> None:
    token = token_of(cloud, register(cloud, "patient"))
    wait(lambda: cloud.depth(NAMES.events_queue), lambda depth: depth == 0, 60)
    with patience(cloud, seconds=1, attempts=1):
        with faults(running, before=1):
            given_up = len(_failed(cloud))
            answer = post(cloud, "/events", [event("wait"), event("wait")], token)
            wait(lambda: len(_failed(cloud)), lambda count: count > given_up)
            wait(lambda: cloud.depth(NAMES.events_dead_letter_queue), lambda depth: depth == 1)
        [row] = dead_letters.show(cloud)
        assert row["message"] == f"patient {answer.json()['request_id']}"
        assert found(cloud, "patient") == []
    dead_letters.redrive(cloud, say)
    rows = wait(lambda: found(cloud, "patient"), bool)
    assert sorted(row["event_id"] for row in rows) == sorted(answer.json()["event_ids"])
    assert cloud.depth(NAMES.events_dead_letter_queue) == 0


def test_what_the_delivery_stream_cannot_write_as_parquet_is_kept_and_refused(cloud: Cloud) -> None:
    """As it would be if the table and the forwarder were of two minds about a column."""
    glue: Any = cloud.session.client("glue")
    where = {"DatabaseName": "log_analytics_db", "Name": "events"}
    table = glue.get_table(**where)["Table"]
    names = ("Name", "Description", "TableType", "Parameters", "PartitionKeys", "StorageDescriptor")
    deployed = {name: table[name] for name in names if name in table}
    other = json.loads(json.dumps(deployed))
    next(column for column in other["StorageDescriptor"]["Columns"] if column["Name"] == "user_id")["Type"] = "int"
    token = token_of(cloud, register(cloud, "odd"))
    glue.update_table(DatabaseName=where["DatabaseName"], TableInput=other)
    try:
        assert post(cloud, "/events", [event("look"), event("look", user_id="7")], token).status == 202
        failed = wait(lambda: _objects(cloud, lake.UNDELIVERED_EVENTS), bool, 60)
    finally:
        glue.update_table(DatabaseName=where["DatabaseName"], TableInput=deployed)
    assert [key.removeprefix(lake.UNDELIVERED_EVENTS).split("/")[0] for key in failed] == [
        "format-conversion-failed"
    ]


def _objects(cloud: Cloud, prefix: str) -> list[str]:
    listed = cloud.s3.list_objects_v2(Bucket=cloud.bucket, Prefix=prefix).get("Contents", [])
    return [entry["Key"] for entry in listed]


def test_the_books_of_events_balance_and_gold_counts_each_event_once(cloud: Cloud, say: Say, busy: Busy) -> None:
    too_late = event("forged", timedelta(days=8))
    token = token_of(cloud, register(cloud, "shop", "rotate"))
    assert post(cloud, "/events", [too_late, event("login")], token).status == 202
    wait(lambda: cloud.depth(NAMES.events_queue), lambda depth: depth == 0, 60)

    outcomes = run(cloud, {"sweep": True}, say)

    assert {day["outcome"] for day in outcomes} == {"published"}
    assert dirty_days(cloud) == []
    books = [row for row in ask(cloud, "books", {}) if row["raw_format"] == "events"]
    assert {row["books"] for row in books} == {"balanced"}
    columns = ("records_in", "published", "duplicates", "rejected")
    totals = {}
    for name in ("load", "busy", "shop", "odd"):
        rows = ask(cloud, "file_books", {"file": events.source(name)})
        totals[name] = [sum(row[column] for row in rows) for column in columns]
    assert totals["load"] == [LOAD + 100, LOAD + 100, 0, 0]
    assert totals["busy"] == [len(busy.ids), len(busy.ids), 0, 0]
    assert totals["odd"] == [2, 1, 0, 1]
    assert totals["shop"][2:] == [1, 1]  # the id that came twice, and the event of last week
    gold = ask(cloud, "SELECT date, action, events, users FROM daily_actions WHERE source = 'events'", {})
    distinct = "count(DISTINCT client_id || event_id) AS events, count(DISTINCT user_id) AS users"
    day = "CAST(event_timestamp AS date) AS date"
    table = ask(cloud, f"SELECT {day}, action, {distinct} FROM events GROUP BY 1, 2", {})
    assert sorted(map(sorted, (row.items() for row in gold))) == sorted(map(sorted, (row.items() for row in table)))
    assert sum(row["events"] for row in gold) == sum(row["published"] for row in books)
    _sign_ins_are_told_alike(cloud, {row["date"]: row for row in gold if row["action"] == "login"})
    assert not any(row["action"] == "forged" for row in table)


def _sign_ins_are_told_alike(cloud: Cloud, gold: dict[str, Any]) -> None:
    """By gold, by the view, and by the question that counts events as they arrive."""
    by_day = {row["date"]: row for row in ask(cloud, "logins_by_day", {}) if row["source"] == "events"}
    expected = {day: (row["events"], row["users"]) for day, row in gold.items()}
    assert {day: (row["logins"], row["users"]) for day, row in by_day.items()} == expected
    for day, (logins, users) in expected.items():
        following = (lake.parse_day(day) + timedelta(1)).isoformat()
        now = ask(cloud, "logins_today", {"from": f"{day}T00:00:00Z", "to": f"{following}T00:00:00Z"})
        assert [(row["logins"], row["users"]) for row in now if row["source"] == "events"] == [(logins, users)]
        seen = ask(cloud, "logins", {"date": day, "most": "1000000"})
        assert len([row for row in seen if row["source"] == "events"]) == logins


def test_no_log_of_the_events_api_holds_a_secret_a_token_or_an_event(cloud: Cloud, shop: Registered) -> None:
    logs, text = cloud.session.client("logs"), ""
    for group in (NAMES.token_logs, NAMES.authorizer_logs, NAMES.forwarder_logs, NAMES.rotation_logs):
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        heard = "".join(entry["message"] for page in pages for entry in page["events"])
        assert '"service":"events"' in heard, group
        text += heard
    keys = [signing_key(cloud).key, shop["client_secret"]]
    assert [part for part in (*keys, "eyJ", "Bearer", "user-1", '"forged"', "2001:db8") if part in text] == []
