"""The client that producers copy, and the load generator, against an API that answers as it is told."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas import events
from atlas_cli.project import ROOT
from examples import load as load_module
from examples import send_events
from examples.load import BOUNDS, WatchedClient, load, percentile
from examples.send_events import EventsClient, EventsError, InvalidEventError, NotSentError
from tests.unit.test_event_schema import events_on_bounds, nearly_good, values

SECRET = "geheimnis"
AUDIENCE = "atlas-local/events"
TAKEN, LOST, DROPPED = "taken", "lost", "dropped"
"""What the API does with a request for events: takes it; takes it without an answer; neither."""


class Api(ThreadingHTTPServer):
    """`plan` says what becomes of the next requests for events, by word, or by status and headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan: list[Any] = []
        self.tokens: list[str] = []
        self.token_plan: list[int] = []
        self.lasts = 1200
        self.bodies: list[bytes] = []
        """Of all attempts."""
        self.taken: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Api
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            (self._token if self.path == "/v1/token" else self._events)(body)

    def _token(self, body: bytes) -> None:
        status = self.server.token_plan.pop(0) if self.server.token_plan else 200
        if status != 200:
            self._answer(
                status, {"error": "invalid_client", "error_description": "the client id or secret is wrong"}
            )
            return
        assert json.loads(body) == {"client_id": "shop", "client_secret": SECRET, "audience": AUDIENCE}
        self.server.tokens.append(f"token-{len(self.server.tokens) + 1}")
        told = {"access_token": self.server.tokens[-1], "token_type": "Bearer", "expires_in": self.server.lasts}
        self._answer(200, told)

    def _events(self, body: bytes) -> None:
        assert self.headers["Content-Type"] == "application/json"
        if self.headers["Authorization"] != f"Bearer {self.server.tokens[-1]}":
            self._answer(401, {"detail": "The token is missing or does not hold."})
            return
        self.server.bodies.append(body)
        plan: Any = self.server.plan.pop(0) if self.server.plan else TAKEN
        if plan in (TAKEN, LOST):
            self.server.taken += json.loads(body)
        if plan in (LOST, DROPPED):
            self.close_connection = True
        elif plan == TAKEN:
            ids = [event["event_id"] for event in json.loads(body)]
            self._answer(202, {"request_id": f"r{len(self.server.bodies)}", "accepted": len(ids), "event_ids": ids})
        else:
            status, headers = plan
            self._answer(status, {"detail": "field [/0/action] is wrong"}, headers)

    def _answer(self, status: int, told: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the client would wait for; the jitter is always as long as it can be."""
    waited: list[float] = []
    monkeypatch.setattr("examples.send_events.time.sleep", waited.append)
    monkeypatch.setattr("examples.send_events.random.uniform", lambda _, longest: longest)
    return waited


def client_of(api: Api) -> EventsClient:
    return EventsClient(api.url, "shop", SECRET, AUDIENCE)


def event(**more: Any) -> dict[str, Any]:
    return {
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "user_id": "u",
        "action": "login",
        **more,
    }


def test_a_token_serves_until_shortly_before_it_expires(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("examples.send_events.time.monotonic", lambda: now[0])
    client = client_of(api)
    for moment, tokens in ((1000.0, 1), (1000.0 + 1200 - 61, 1), (1000.0 + 1200 - 60, 2)):
        now[0] = moment
        client.send([event()])
        assert len(api.tokens) == tokens
    client.forget_token()
    client.send([event()])
    assert len(api.tokens) == 3


def test_a_token_that_does_not_hold_any_more_is_renewed_once_and_then_it_is_an_error(api: Api) -> None:
    client = client_of(api)
    client.send([event()])
    api.tokens.append("another")  # as if the key had been rotated twice
    [receipt] = client.send([event()])
    assert len(api.taken) == 2
    assert receipt.event_ids == (api.taken[1]["event_id"],)
    api.plan = [(401, {}), (401, {})]
    with pytest.raises(NotSentError, match="401 Unauthorized"):
        client.send([event()])


def test_a_wrong_secret_is_an_error_at_once_and_is_not_told(api: Api, waits: list[float]) -> None:
    api.token_plan = [401]
    client = client_of(api)
    with pytest.raises(NotSentError, match="the client id or secret is wrong") as fault:
        client.send([event()])
    assert waits == []
    assert SECRET not in f"{fault.value!r} {client!r} {vars(fault.value)}"


@pytest.mark.parametrize("trouble", [(429, {}), (500, {}), (503, {}), (504, {}), LOST, DROPPED], ids=str)
def test_whatever_may_pass_is_tried_again_with_the_same_ids(api: Api, waits: list[float], trouble: Any) -> None:
    api.plan = [trouble, trouble]
    [receipt] = client_of(api).send([event(), event()])
    assert len(api.bodies) == 3
    assert len(set(api.bodies)) == 1
    assert {one["event_id"] for one in api.taken} == set(receipt.event_ids)
    assert waits == [0.5, 1.0]


def test_a_token_is_asked_for_again_too(api: Api, waits: list[float]) -> None:
    api.token_plan = [503, 429]
    client_of(api).send([event()])
    assert (len(api.tokens), len(waits)) == (1, 2)


def test_the_client_waits_for_as_long_as_it_is_asked_to_and_gives_up_in_the_end(
    api: Api, waits: list[float]
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    asked = ["2", date, "7000", "soon", "-1", "", "1", "1"]
    api.plan = [(429, {"Retry-After": text}) for text in asked]
    with pytest.raises(NotSentError, match="8 attempts failed, the last one with: 429") as fault:
        client_of(api).send([event()])
    jitter = [0.5, 1, 2, 4, 8, 16, 20]
    beyond = [round(wait - longest) for wait, longest in zip(waits, jitter, strict=True)]
    assert beyond == [2, pytest.approx(30, abs=2), 300, 0, 0, 0, 1]
    assert len(fault.value.events) == 1


def test_what_was_not_sent_can_be_sent_again_and_counts_once(api: Api) -> None:
    made = [event(user_id=f"u{number}") for number in range(1100)]
    api.plan = [TAKEN, (400, {})]
    client = client_of(api)
    with pytest.raises(NotSentError, match=r"600 events .* 400 Bad Request: field \[/0/action\] is wrong") as fault:
        client.send(made)
    [receipt] = fault.value.receipts
    assert len(receipt.event_ids) == 500
    client.send(fault.value.events)
    assert [one["user_id"] for one in api.taken] == [one["user_id"] for one in made]
    assert len({one["event_id"] for one in api.taken}) == 1100


def test_nothing_is_sent_if_an_event_is_wrong_and_its_field_is_named(api: Api) -> None:
    old = (datetime.now(UTC) - timedelta(days=8)).isoformat()
    cases = {
        "action": event(action=""),
        "user_id": {"timestamp": datetime.now(UTC), "action": "a"},
        "client_id": event(client_id="another"),
        "properties.a b": event(properties={"a b": ""}),
        "properties.a": event(properties={"a": 1}),
        "properties": event(properties={str(n): "" for n in range(33)}),
        "timestamp": event(timestamp=old),
        "event": 7,
    }
    for field, wrong in cases.items():
        with pytest.raises(InvalidEventError) as fault:
            client_of(api).send([event(), wrong])  # type: ignore[list-item]
        assert (fault.value.place, fault.value.field) == (1, field)
    for timestamp in ("2026-02-30T00:00:00Z", datetime(2026, 1, 1)):
        with pytest.raises(InvalidEventError, match="timestamp"):
            send_events.prepared(event(timestamp=timestamp))
    assert (api.bodies, api.tokens) == ([], [])


def test_a_datetime_is_sent_as_the_same_moment(api: Api) -> None:
    moment = datetime.now(timezone(timedelta(hours=5, minutes=30)))
    client_of(api).send([event(timestamp=moment)])
    assert datetime.fromisoformat(api.taken[0]["timestamp"]) == moment


def test_the_client_and_the_schema_have_the_same_bounds() -> None:
    schema = jsonschema_rs.validator_for(events.event_schema())
    made = events_on_bounds()
    found = [send_events.find_fault(one) is None for one in made]
    assert found == [schema.is_valid(one) for one in made]
    assert {*found} == {True, False}


@given(nearly_good() | values)
@settings(max_examples=150, deadline=None)
def test_the_client_and_the_schema_are_of_one_mind(one: Any) -> None:
    try:
        valid = jsonschema_rs.validator_for(events.event_schema()).is_valid(one)
    except (ValueError, UnicodeEncodeError):  # single surrogates, which no event may have
        return
    assert valid == (isinstance(one, dict) and send_events.find_fault(one) is None)


@given(st.lists(st.sampled_from([1, 1000, 30_000]), max_size=30), st.integers(0, 1200))
@settings(max_examples=50, deadline=None)
def test_requests_keep_the_bounds_of_the_api_and_hold_every_event_in_order(sizes: list[int], more: int) -> None:
    made = [{"n": number, "text": "ä" * size} for number, size in enumerate([*sizes, *[1] * more])]
    found = list(send_events.bodies(made))
    assert [one for body, _ in found for one in json.loads(body)] == made
    for body, number in found:
        assert number == len(json.loads(body)) <= events.MOST_EVENTS
        assert len(body) <= send_events.MOST_BYTES < events.MESSAGE_BYTES - 10_000


def test_secrets_and_tokens_go_nowhere_else(api: Api) -> None:
    api.plan = [(302, {"Location": "http://127.0.0.1:1/"})]
    with pytest.raises(NotSentError, match="302"):
        client_of(api).send([event()])
    for url in ("http://example.com/v1", "ftp://127.0.0.1/", "127.0.0.1/v1", ""):
        with pytest.raises(EventsError, match="not an address of https"):
            EventsClient(url, "shop", SECRET, AUDIENCE)


def test_an_answer_of_something_else_is_an_error(api: Api) -> None:
    api.plan = [(200, {})]
    with pytest.raises(NotSentError, match="is this the API's address"):
        client_of(api).send([event()])


# --- the command ---


@pytest.fixture
def environment(api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    made = {
        "ATLAS_EVENTS_URL": api.url, "ATLAS_CLIENT_ID": "shop", "ATLAS_CLIENT_SECRET": SECRET,
        "ATLAS_AUDIENCE": AUDIENCE
    }  # fmt: skip
    for name, value in made.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return made


def test_the_one_file_works_by_itself(api: Api, environment: dict[str, str], tmp_path: Path) -> None:
    copy = shutil.copy(ROOT / "examples" / "send_events.py", tmp_path)
    lines = "\n".join(json.dumps(event(user_id=name)) for name in "ab") + "\n\n"
    # isolated from what is installed here, and from the environment but for these four
    done = subprocess.run(
        [sys.executable, "-I", "-S", copy, "-"],
        input=lines,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"request_id": "r1", "event_ids": [one["event_id"] for one in api.taken]}
    assert [one["user_id"] for one in api.taken] == ["a", "b"]


@pytest.mark.usefixtures("environment")
def test_the_command_sends_an_event_of_now(api: Api) -> None:
    words = ["--user-id", "u-1", "--action", "login", "--property", "page=/a=b", "--device", "phone"]
    assert send_events.main(words) == 0
    [sent] = api.taken
    assert (sent["user_id"], sent["device"], sent["properties"]) == ("u-1", "phone", {"page": "/a=b"})


@pytest.mark.usefixtures("environment")
def test_the_command_names_the_line_at_fault(api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text, said in (
        (json.dumps(event()) + "\n\n" + json.dumps(event(action=7)), "wrong.ndjson:3: action: has to be text"),
        ("{", "wrong.ndjson:1: not JSON"),
    ):
        (tmp_path / "wrong.ndjson").write_text(text)
        assert send_events.main(["wrong.ndjson"]) == 1
        assert said in capsys.readouterr().err
    assert send_events.main(["missing.ndjson"]) == 1
    assert api.bodies == []


@pytest.mark.usefixtures("environment")
def test_the_command_keeps_what_it_could_not_send(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "many.ndjson").write_text("\n".join(json.dumps(event()) for _ in range(600)))
    api.plan = [TAKEN, (403, {})]
    assert send_events.main(["many.ndjson"]) == 1
    said = capsys.readouterr()
    assert len(json.loads(said.out)["event_ids"]) == 500
    assert "100 events are not known to be accepted: 403 Forbidden" in said.err
    assert send_events.main(["unsent.ndjson"]) == 0
    assert len({one["event_id"] for one in api.taken}) == len(api.taken) == 600


def test_the_command_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET", "AUDIENCE"):
        monkeypatch.delenv(f"ATLAS_{name}".replace("ATLAS_URL", "ATLAS_EVENTS_URL"), raising=False)
    assert send_events.main(["--user-id", "u", "--action", "a"]) == 1
    assert "set ATLAS_EVENTS_URL, ATLAS_CLIENT_ID, ATLAS_CLIENT_SECRET, ATLAS_AUDIENCE" in capsys.readouterr().err


# --- the load ---


def test_a_load_tells_what_was_accepted_whatever_happens_meanwhile(api: Api, waits: list[float]) -> None:
    api.plan = [(400, {}), TAKEN, (503, {}), LOST, (429, {"Retry-After": "1"})]
    report = load(
        WatchedClient(api.url, "shop", SECRET, AUDIENCE), events=950, seconds=60, concurrency=3, batch=100
    )
    figures = report.figures()
    assert (figures["accepted"], figures["ids"], figures["refused"]) == (len(report.ids), len(set(report.ids)), 100)
    assert len(report.ids) == 850
    assert set(report.ids) == {one["event_id"] for one in api.taken}
    assert {one["properties"]["load"] for one in api.taken} == {report.name}
    assert figures["answers"]["/events 202"] == figures["requests"] == 9
    assert figures["answers"]["/events RemoteDisconnected"] == 1
    assert figures["answers"]["/token 200"] == 1
    assert figures["faults"] == {"400 Bad Request: field [/0/action] is wrong": 1}
    assert list(figures["latency_ms"]) == ["p50", "p90", "p99", "max"]
    assert len(waits) == 3


def test_a_load_ends_with_its_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(10**6))
    monkeypatch.setattr("examples.load.time.monotonic", lambda: next(moments))
    load(WatchedClient(api.url, "shop", SECRET, AUDIENCE), events=10_000, seconds=10, concurrency=1, batch=1)
    assert 1 <= len(api.taken) < 10


def test_percentiles_are_values_that_were_measured() -> None:
    assert [percentile([1.0, 2.0, 3.0, 4.0], share) for share in (0.5, 0.9, 1.0)] == [2.0, 4.0, 4.0]
    assert percentile([7.0], 0.5) == 7.0


@pytest.mark.usefixtures("environment")
def test_the_load_goes_to_this_machine_unless_told_otherwise_and_has_bounds(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert load_module.main(["--events", "20", "--batch", "9", "--concurrency", "2"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["accepted"], figures["requests"]) == (20, 3)
    assert load_module.main(["--url", "https://example.com/v1"]) == 1
    assert "--elsewhere" in capsys.readouterr().err
    monkeypatch.delenv("ATLAS_EVENTS_URL")
    monkeypatch.setattr("atlas_cli.cloud.ROOT", tmp_path)
    assert load_module.main([]) == 1
    assert "the local cloud is not up" in capsys.readouterr().err
    for name, most in BOUNDS.items():
        with pytest.raises(SystemExit):
            load_module.main([f"--{name}", str(most + 1)])
    assert len(api.taken) == 20
