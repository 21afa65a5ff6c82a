"""Loads the events API with events of made-up users, and says how it took them. It has bounds, and ends.

    export ATLAS_CLIENT_ID=... ATLAS_CLIENT_SECRET=...    # as `atlas client add` shows them
    .venv/bin/python examples/load.py --events 10000 --seconds 60 --concurrency 4 --batch 100

It goes to the local cloud. Another address needs --elsewhere, which says that it is meant, --url and --audience. A
load is known in the tables by its name, which each of its events has in `properties['load']`. The exit status is 0
if all that was sent has been accepted.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from itertools import islice
from typing import Any

from atlas import access
from atlas_cli.cloud import LOCAL, connect
from atlas_cli.console import CommandError
from examples.send_events import Answer, EventsClient, EventsError, NotSentError, connected, connection, is_local

BOUNDS = {"events": 1_000_000, "seconds": 3600, "concurrency": 64, "batch": 500}
_ACTIONS = ("login", "search", "view", "add_to_cart", "checkout", "logout")
_DEVICES = ("phone", "tablet", "desktop")


@dataclass
class Report:
    """What came of a load."""

    name: str = field(default_factory=lambda: str(uuid.uuid4()))
    requests: int = 0
    """Those that were accepted."""
    ids: list[str] = field(default_factory=list)
    """Of the events that were accepted, as the API gave them back."""
    refused: int = 0
    """Events that are not known to be accepted after all attempts."""
    faults: Counter[str] = field(default_factory=Counter)
    """Why."""
    answers: Counter[str] = field(default_factory=Counter)
    """Of each attempt: its path with the answer's status, or what came in the place of an answer."""
    latencies: list[float] = field(default_factory=list)
    """Milliseconds of each attempt to send events that was answered."""
    seconds: float = 0.0

    def figures(self) -> dict[str, Any]:
        """The report as it is printed."""
        ordered = sorted(self.latencies)
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
        return {
            "load": self.name,
            "seconds": round(self.seconds, 1),
            "requests": self.requests,
            "accepted": len(self.ids),
            "ids": len(set(self.ids)),
            "refused": self.refused,
            "latency_ms": {name: round(percentile(ordered, share)) for name, share in shares.items() if ordered},
            "answers": dict(sorted(self.answers.items())),
            "faults": dict(self.faults),
        }


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


class WatchedClient(EventsClient):
    """A client that notes every attempt in its report."""

    def __init__(self, *connection: str) -> None:
        super().__init__(*connection)
        self.report = Report()
        self.noting = threading.Lock()

    def exchange(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One attempt, noted."""
        began = time.monotonic()
        try:
            answer = super().exchange(path, body, headers)
        except (OSError, HTTPException) as fault:
            with self.noting:
                self.report.answers[f"{path} {type(fault).__name__}"] += 1
            raise
        with self.noting:
            self.report.answers[f"{path} {answer.status}"] += 1
            if path == "/events":
                self.report.latencies.append((time.monotonic() - began) * 1000)
        return answer


def load(client: WatchedClient, *, events: int, seconds: float, concurrency: int, batch: int) -> Report:
    """Sends up to so many events, in requests of so many, from so many threads, and begins none after so long."""
    report = client.report
    waiting = _events(report.name, events)
    began = time.monotonic()

    def work() -> None:
        while time.monotonic() - began < seconds:
            with client.noting:
                chosen = list(islice(waiting, batch))
            if not chosen:
                return
            _send(client, chosen)

    with ThreadPoolExecutor(concurrency) as pool:
        for thread in [pool.submit(work) for _ in range(concurrency)]:
            thread.result()
    report.seconds = time.monotonic() - began
    return report


def _send(client: WatchedClient, events: Sequence[Mapping[str, Any]]) -> None:
    report = client.report
    try:
        receipts = client.send(events)
        with client.noting:
            report.requests += len(receipts)
            report.ids += [event_id for receipt in receipts for event_id in receipt.event_ids]
    except NotSentError as fault:
        with client.noting:
            report.refused += len(fault.events)
            report.faults[str(fault.__cause__)] += 1


def _events(name: str, number: int) -> Iterator[Mapping[str, Any]]:
    for place in range(number):
        yield {
            "timestamp": datetime.now(UTC),
            "user_id": f"user-{random.randrange(1000)}",  # noqa: S311 - no secret
            "action": _ACTIONS[place % len(_ACTIONS)],
            "device": _DEVICES[place % len(_DEVICES)],
            "properties": {"load": name, "number": str(place)},
        }


def _bounded(name: str) -> Any:
    def number(text: str) -> int:
        if not text.isdigit() or not 1 <= int(text) <= BOUNDS[name]:
            raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to {BOUNDS[name]:,}")
        return int(text)

    return number


def _default_to_local(options: argparse.Namespace) -> None:
    """Names the local cloud where nothing else is named. Raises EventsError if it is not up."""
    try:
        options.url = options.url or os.environ.get("ATLAS_EVENTS_URL") or connect(LOCAL).events_url
    except CommandError as fault:
        raise EventsError(str(fault)) from fault
    local = access.audience(LOCAL, access.EVENTS_API)
    options.audience = options.audience or os.environ.get("ATLAS_AUDIENCE") or local


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a load, and prints its report as JSON."""
    parser = argparse.ArgumentParser(description="Loads the events API.", parents=[connection()])
    for name, default in {"events": 10_000, "seconds": 60, "concurrency": 4, "batch": 100}.items():
        parser.add_argument(f"--{name}", type=_bounded(name), default=default, metavar="N", help=f"{default:,}")
    parser.add_argument("--elsewhere", action="store_true", help="load an address that is not this machine's")
    options = parser.parse_args(arguments)
    try:
        _default_to_local(options)
        given = connected(options)
        if not is_local(given[0]) and not options.elsewhere:
            raise EventsError(f"{given[0]} is not this machine's: --elsewhere, if you mean it and may")
        report = load(WatchedClient(*given), **{name: getattr(options, name) for name in BOUNDS})
    except EventsError as fault:
        print(f"load: {fault}", file=sys.stderr)
        return 1
    print(json.dumps(report.figures(), indent=2))
    return int(report.refused > 0)


if __name__ == "__main__":
    sys.exit(main())
