"""Sends events to the events API of Atlas. One file without dependencies (Python 3.11 or newer): copy it.

    client = EventsClient(url, client_id, client_secret, audience="atlas-prod/events")
    client.send([{"timestamp": "2026-11-20T10:00:00Z", "user_id": "u-1", "action": "login"}])

    export ATLAS_EVENTS_URL=... ATLAS_CLIENT_ID=... ATLAS_CLIENT_SECRET=... ATLAS_AUDIENCE=...
    python send_events.py --user-id u-1 --action login --property page=/checkout
    python send_events.py events.ndjson        # one event a line; `-` is the standard input

`send` returns when all events are accepted, or raises. Every event gets its id before the first attempt, so what is
sent more than once, by this client or by you, counts once. docs/events-api.md says what an event may be.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MOST_EVENTS = 500
MOST_BYTES = 1_000_000
"""Of a request. The API takes 1 MiB, of which it needs some for itself."""
OLDEST, NEWEST = timedelta(days=7), timedelta(minutes=5)
"""How far an event's time may lie before and after now."""
ATTEMPTS = 8
FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0
"""Seconds that are waited at most after a first attempt, and after any. Between them it doubles each time."""
LONGEST_RETRY_AFTER = 300.0
TIMEOUT = 30.0
"""Seconds until an answer is given up; the API's own bound is 29."""
RENEW_SECONDS = 60.0
"""So long before a token expires, the next one is asked for."""

Event = Mapping[str, Any]

_RULES = {
    "event_id": (r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "a UUID"),
    "timestamp": (
        r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
        r"([.][0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])",
        "a time such as 2026-11-20T10:00:00Z, with Z or an offset",
    ),
    "user_id": (r"[^\ud800-\udfff]{1,256}", "text of 1 to 256 characters"),
    "action": (r"[^\ud800-\udfff]{1,128}", "text of 1 to 128 characters"),
    "device": (r"[^\ud800-\udfff]{1,128}", "text of 1 to 128 characters"),
    "ip_address": (r"[0-9a-fA-F:.]{2,45}", "an IPv4 or IPv6 address"),
}
_REQUIRED = ("timestamp", "user_id", "action")
_PROPERTY = (r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", r"[^\ud800-\udfff]{0,1024}")


class EventsError(Exception):
    """Events could not be sent. The message says why."""


class InvalidEventError(EventsError):
    """An event breaks a rule of the API, and nothing was sent. `place` counts from 0."""

    def __init__(self, place: int, field_name: str, rule: str) -> None:
        super().__init__(f"event {place}: {field_name}: {rule}")
        self.place, self.field, self.rule = place, field_name, rule


class RefusedError(EventsError):
    """The API answered with a status that no retry mends. `status` is HTTP's."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{status} {http.client.responses.get(status, '')}: {why}")
        self.status = status


class NotSentError(EventsError):
    """`receipts` tell what was accepted before; `events` are the others, with ids: they can be sent again."""

    def __init__(self, why: EventsError, receipts: Sequence[Receipt], events: Sequence[Event]) -> None:
        super().__init__(f"{len(events)} events are not known to be accepted: {why}")
        self.receipts, self.events = receipts, events


@dataclass(frozen=True)
class Receipt:
    """A request that was accepted, by which its events are found in the tables."""

    request_id: str
    event_ids: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What came back of a request."""

    status: int
    headers: Message
    body: bytes


@dataclass(frozen=True)
class _Token:
    text: str = field(repr=False)
    renew_at: float


class EventsClient:
    """A client of the API, which threads may share. `url` is the API's, up to its stage: `https://.../v1`."""

    def __init__(self, url: str, client_id: str, client_secret: str, audience: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_local(url)):
            raise EventsError(f"{url!r} is not an address of https: a token or a secret must not go there")
        self._url = url.rstrip("/")
        self._credentials = {"client_id": client_id, "client_secret": client_secret, "audience": audience}
        self._token: _Token | None = None
        self._lock = threading.Lock()
        # A redirection would take the token along to wherever it leads.
        handlers: list[Any] = [_NoRedirection, *([urllib.request.ProxyHandler({})] if is_local(url) else [])]
        self._opener = urllib.request.build_opener(*handlers)

    def send(self, events: Iterable[Event]) -> list[Receipt]:
        """Sends all events, in requests of up to 500, and says which are accepted: all.

        A `timestamp` may be a datetime. Raises InvalidEventError before anything is sent, and NotSentError.
        """
        ready = [prepared(event, place) for place, event in enumerate(events)]
        receipts: list[Receipt] = []
        sent = 0
        for body, number in bodies(ready):
            try:
                told = _told(self._post_events(body), "request_id", "event_ids")
                receipts.append(Receipt(told["request_id"], tuple(told["event_ids"])))
            except EventsError as fault:
                raise NotSentError(fault, receipts, ready[sent:]) from fault
            sent += number
        return receipts

    def forget_token(self) -> None:
        """Has the next request ask for a token."""
        with self._lock:
            self._token = None

    def exchange(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One attempt of a POST. Raises OSError or HTTPException if there is no answer."""
        request = urllib.request.Request(self._url + path, body, dict(headers), method="POST")  # noqa: S310 - checked
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Answer(refusal.code, refusal.headers, refusal.read())

    def _post_events(self, body: bytes) -> bytes:
        token = self._current_token()
        for last in (False, True):
            try:
                return self._post("/events", body, {"Authorization": f"Bearer {token.text}"})
            except RefusedError as refusal:
                if refusal.status != 401 or last:
                    raise
            token = self._current_token(instead_of=token)
        raise AssertionError("unreachable")

    def _current_token(self, instead_of: _Token | None = None) -> _Token:
        with self._lock:
            token = self._token
            if token is None or token is instead_of or time.monotonic() >= token.renew_at:
                asked_at = time.monotonic()
                body = json.dumps(self._credentials).encode()
                told = _told(self._post("/token", body, {}), "access_token", "expires_in")
                lasts = float(told["expires_in"])
                self._token = token = _Token(told["access_token"], asked_at + max(lasts - RENEW_SECONDS, lasts / 2))
            return token

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """The body of the answer, of as many attempts as it takes. Raises EventsError."""
        for attempt in range(ATTEMPTS):
            retry_after = 0.0
            try:
                answer = self.exchange(path, body, {"Content-Type": "application/json", **headers})
            except (OSError, http.client.HTTPException) as fault:
                reason = getattr(fault, "reason", fault)
                if isinstance(reason, ssl.SSLCertVerificationError):
                    raise EventsError(f"{self._url}{path}: {reason}") from fault
                why = f"no answer ({reason})"
            else:
                if 200 <= answer.status < 300:
                    return answer.body
                if answer.status != 429 and answer.status < 500:
                    raise RefusedError(answer.status, _why(answer.body))
                why = f"{answer.status} {_why(answer.body)}"
                retry_after = _retry_after(answer.headers)
            if attempt + 1 < ATTEMPTS:
                jitter = random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))  # noqa: S311 - no secret
                time.sleep(retry_after + jitter)
        raise EventsError(f"{self._url}{path}: {ATTEMPTS} attempts failed, the last one with: {why}")


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def is_local(url: str) -> bool:
    """Whether the address is this machine's own."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def prepared(event: Event, place: int = 0) -> dict[str, Any]:
    """An event as it is sent, with an id. Raises InvalidEventError."""
    if not isinstance(event, Mapping):
        raise InvalidEventError(place, "event", "has to be an object")
    made = {"event_id": str(uuid.uuid4()), **event}
    if isinstance(made.get("timestamp"), datetime):
        if made["timestamp"].tzinfo is None:
            raise InvalidEventError(place, "timestamp", "has to have a time zone")
        made["timestamp"] = made["timestamp"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    fault = find_fault(made) or find_time_fault(made["timestamp"])
    if fault:
        raise InvalidEventError(place, *fault)
    return made


def find_fault(event: Event) -> tuple[str, str] | None:
    """The field that the API's schema refuses, and what it has to be."""
    for name in _REQUIRED:
        if name not in event:
            return name, "is missing"
    for name, value in event.items():
        if name == "properties":
            fault = _fault_of_properties(value)
            if fault:
                return fault
        elif name not in _RULES:
            return name, f"is not one of {', '.join(_RULES)}, properties"
        else:
            pattern, rule = _RULES[name]
            if not isinstance(value, str) or not re.fullmatch(pattern, value):
                return name, f"has to be {rule}"
    return None


def _fault_of_properties(properties: Any) -> tuple[str, str] | None:
    if not isinstance(properties, Mapping) or len(properties) > 32:
        return "properties", "has to be an object of up to 32 names"
    for name, value in properties.items():
        if not re.fullmatch(_PROPERTY[0], str(name)):
            return f"properties.{name}", "names have up to 64 letters, digits, _, . and -, first a letter or _"
        if not isinstance(value, str) or not re.fullmatch(_PROPERTY[1], value):
            return f"properties.{name}", "has to be text of up to 1024 characters"
    return None


def find_time_fault(timestamp: str) -> tuple[str, str] | None:
    """What the server would find wrong with a time that the schema accepts: it would refuse the event later."""
    try:
        age = datetime.now(UTC) - datetime.fromisoformat(timestamp)
    except (ValueError, OverflowError):
        return "timestamp", "is not a day that there is"
    if not -NEWEST <= age <= OLDEST:
        return "timestamp", "has to be within the last seven days, by this machine's clock"
    return None


def bodies(events: Sequence[Event]) -> Iterator[tuple[bytes, int]]:
    """The bodies of the requests that take all events, each with how many it holds."""
    texts: list[bytes] = []
    size = 0
    for event in events:
        text = json.dumps(event, separators=(",", ":")).encode()
        if texts and (len(texts) == MOST_EVENTS or size + len(text) + 2 > MOST_BYTES):
            yield b"[" + b",".join(texts) + b"]", len(texts)
            texts, size = [], 0
        texts.append(text)
        size += len(text) + 1
    if texts:
        yield b"[" + b",".join(texts) + b"]", len(texts)


def _told(body: bytes, *names: str) -> dict[str, Any]:
    """What an answer says under these names. Raises EventsError."""
    try:
        told = json.loads(body)
        return {name: told[name] for name in names}
    except (ValueError, KeyError, TypeError):
        raise EventsError(f"the answer has no {' and '.join(names)}: is this the API's address?") from None


def _why(body: bytes) -> str:
    """What the answer says of itself: a problem document's detail, or OAuth's description."""
    try:
        told = json.loads(body)
        return str(told.get("detail") or told.get("error_description") or told.get("message") or told)
    except (ValueError, AttributeError):
        return body[:200].decode("utf-8", "replace")


def _retry_after(headers: Message) -> float:
    """Seconds that the server asks to wait for, by number or by date."""
    text = headers.get("Retry-After", "")
    try:
        seconds = int(text) if text.isdigit() else (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def connected(options: argparse.Namespace) -> list[str]:
    """What an EventsClient is made of, by the options of `connection` and the environment. Raises EventsError."""
    given = {
        "ATLAS_EVENTS_URL": options.url,
        "ATLAS_CLIENT_ID": options.client_id,
        "ATLAS_CLIENT_SECRET": None,  # not an option: everybody on the machine sees the options
        "ATLAS_AUDIENCE": options.audience,
    }
    found = [value or os.environ.get(name, "") for name, value in given.items()]
    missing = [name for name, value in zip(given, found, strict=True) if not value]
    if missing:
        raise EventsError(f"set {', '.join(missing)}")
    return found


def connection() -> argparse.ArgumentParser:
    """The options that say where to send to, and as whom."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--url", help="the API's address, https://.../v1 (or $ATLAS_EVENTS_URL)")
    parser.add_argument("--client-id", help="or $ATLAS_CLIENT_ID; the secret is in $ATLAS_CLIENT_SECRET")
    parser.add_argument("--audience", help="such as atlas-prod/events (or $ATLAS_AUDIENCE)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Sends what the command line names; prints a line of JSON for each request that was accepted."""
    parser = argparse.ArgumentParser(description="Sends events to Atlas.", parents=[connection()])
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="events, one JSON object a line; - is standard input"
    )
    parser.add_argument("--unsent", default="unsent.ndjson", help="where events go that could not be sent")
    for name in ("user-id", "action", "device", "ip-address"):
        parser.add_argument(f"--{name}", help="of a single event that happens now")
    parser.add_argument("--property", action="append", default=[], metavar="NAME=VALUE", help="of that event")
    options = parser.parse_args(arguments)
    if not options.files and not options.user_id:
        parser.error("name a FILE, or --user-id and --action")
    try:
        places, events = _read_files(options.files) if options.files else (["the event"], [_event_of(options)])
        receipts = EventsClient(*connected(options)).send(events)
    except InvalidEventError as fault:
        return _fail(f"{places[fault.place]}: {fault.field}: {fault.rule}. Nothing was sent")
    except NotSentError as fault:
        _print(fault.receipts)
        unsent = "".join(json.dumps(event) + "\n" for event in fault.events)
        Path(options.unsent).write_text(unsent, encoding="utf-8")
        return _fail(f"{fault}. They are in {options.unsent}: sending them again counts none of them twice")
    except (EventsError, OSError) as fault:
        return _fail(str(fault))
    _print(receipts)
    return 0


def _read_files(files: Sequence[str]) -> tuple[list[str], list[Event]]:
    """The events of all files, each with its place. Raises EventsError, OSError."""
    places, events = [], []
    for name in files:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                events.append(json.loads(line))
            except ValueError:
                raise EventsError(f"{name}:{number}: not JSON") from None
            places.append(f"{name}:{number}")
    return places, events


def _event_of(options: argparse.Namespace) -> Event:
    named = {name: getattr(options, name) for name in ("user_id", "action", "device", "ip_address")}
    properties = dict(text.partition("=")[::2] for text in options.property)
    event = {"timestamp": datetime.now(UTC), **named, "properties": properties or None}
    return {name: value for name, value in event.items() if value is not None}


def _print(receipts: Iterable[Receipt]) -> None:
    for receipt in receipts:
        print(json.dumps({"request_id": receipt.request_id, "event_ids": receipt.event_ids}))


def _fail(why: str) -> int:
    print(f"send_events: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
