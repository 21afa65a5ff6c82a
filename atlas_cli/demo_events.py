"""The demo's other half: an application that writes no files sends events over HTTP, and finds them in gold."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from atlas import access
from atlas_cli import books, client
from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say
from atlas_cli.query import ask
from atlas_cli.run import run
from examples.send_events import EventsClient

_CLIENT = "demo"
_EVENTS, _AGAIN = 300, 20
_ACTIONS = {"view": 12, "add_to_cart": 4, "login": 3, "purchase": 1}
"""How often each is done, in proportion."""
_PATIENCE_SECONDS = 60


def show(cloud: Cloud, say: Say) -> None:
    """A client, a token, events, some of them sent again, the day's run, and its books. Raises CommandError."""
    made = client.add(cloud, _CLIENT, access.EVENTS_API)
    audience = access.audience(cloud.stage, access.EVENTS_API)
    sender = EventsClient(cloud.events_url, made.client_id, made.client_secret, audience)
    events = _made_up(random.Random(7))  # noqa: S311 - the same users each time
    say.step(f"sending {_EVENTS} events over HTTP as client {_CLIENT}, and {_AGAIN} of them again")
    sender.send(events)
    sender.send(events[:_AGAIN])
    _await_forwarder(cloud)
    days = sorted({event["timestamp"][:10] for event in events})
    span = {"from": days[0], "to": days[-1]}
    run(cloud, {"process_dates": days}, say)
    say.note()
    say.rows("Gold: daily_actions", ask(cloud, "daily_actions", span))
    say.note(books.in_words(books.show(cloud, span, say)))
    say.note()


def _made_up(pick: random.Random) -> list[dict[str, Any]]:
    """What some users did a moment ago."""
    now = datetime.now(UTC) - timedelta(seconds=1)
    actions = pick.choices([*_ACTIONS], weights=[*_ACTIONS.values()], k=_EVENTS)
    return [
        {
            "event_id": f"{pick.getrandbits(32):08x}-0000-4000-8000-{number:012x}",
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "user_id": f"user-{pick.randint(1, 40)}",
            "action": action,
            "device": pick.choice(["mobile", "desktop", "tablet"]),
        }
        for number, action in enumerate(actions)
    ]


def _await_forwarder(cloud: Cloud) -> None:
    """Until the queue of accepted requests is empty. Raises CommandError if it does not get there."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while cloud.depth(cloud.names.events_queue):
        if time.monotonic() > deadline:
            raise CommandError(f"events wait in the queue: see the log of {cloud.names.forwarder_function}")
        time.sleep(0.2)
