"""Clients of the events API, tokens true and forged, and a client that never stops sending."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import jwt
import urllib3

from atlas import access
from atlas.access import EVENTS_API, SigningKey
from atlas_cli import client
from atlas_cli.cloud import Cloud
from atlas_cli.console import Say
from atlas_cli.local import firehose
from atlas_cli.local.emulator import Emulator
from examples.load import WatchedClient
from examples.send_events import EventsClient

AUDIENCE = access.audience("local", EVENTS_API)

Registered = Mapping[str, str]
"""client_id, client_secret, audience: what `atlas client add` says."""


class Heard(Say):
    """What the command says, for us."""

    def __init__(self) -> None:
        super().__init__(as_json=True)
        self.told: list[Mapping[str, Any]] = []

    def rows(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:  # noqa: ARG002 - as it is called
        self.told += rows


def register(cloud: Cloud, name: str, action: str = "add") -> Registered:
    """Adds a client, or rotates it."""
    heard = Heard()
    client.run(cloud, action, name, heard)
    [told] = heard.told
    return told


def client_of(cloud: Cloud, registered: Registered, kind: type[EventsClient] = EventsClient) -> Any:
    return kind(cloud.events_url, *(registered[name] for name in ("client_id", "client_secret", "audience")))


def post(cloud: Cloud, path: str, body: Any, token: str | None = None, **headers: str) -> urllib3.BaseHTTPResponse:
    """One request, whatever comes of it, but a fault of the server's; a body that is no text is sent as JSON."""
    sent = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    for _ in range(5):  # on a machine that has much to do functions run out of time
        answer = urllib3.request(
            "POST", cloud.events_url + path, body=text, headers=sent, retries=False, timeout=30
        )
        if answer.status < 500:
            break
    return answer


def ask_for_token(cloud: Cloud, registered: Registered, **changes: str) -> urllib3.BaseHTTPResponse:
    return post(cloud, "/token", {**registered, **changes})


def token_of(cloud: Cloud, registered: Registered) -> str:
    answer = ask_for_token(cloud, registered)
    assert answer.status == 200, answer.data
    return str(answer.json()["access_token"])


def signing_key(cloud: Cloud) -> SigningKey:
    secrets = cloud.session.client("secretsmanager")
    return SigningKey.from_secret(secrets.get_secret_value(SecretId=cloud.names.signing_key)["SecretString"])


def forged(
    cloud: Cloud, client_id: str, *, key: str | None = None, algorithm: str = "HS256", kid: str = "", **claims: Any
) -> str:
    """A token as the token function makes them, but for what is given."""
    real, now = signing_key(cloud), int(time.time())
    told = {
        "iss": access.issuer(cloud.stage),
        "aud": AUDIENCE,
        "sub": client_id,
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "jti": str(uuid.uuid4()),
        **claims,
    }
    secret = None if algorithm == "none" else key or real.key
    return jwt.encode(told, secret, algorithm, headers={"kid": kid or real.kid})  # type: ignore[arg-type]


def rotate_signing_key(cloud: Cloud) -> SigningKey:
    """Renews the key, and waits until it is the current one."""
    secrets, version = cloud.session.client("secretsmanager"), str(uuid.uuid4())
    secrets.rotate_secret(SecretId=cloud.names.signing_key, ClientRequestToken=version)
    deadline = time.monotonic() + 30
    while (key := signing_key(cloud)).kid != version:
        assert time.monotonic() < deadline, "the signing key is not renewed"
        time.sleep(0.1)
    return key


def event(action: str, age: timedelta = timedelta(0), **more: Any) -> dict[str, Any]:
    moment = (datetime.now(UTC) - age).isoformat().replace("+00:00", "Z")
    return {"timestamp": moment, "user_id": "user-1", "action": action, **more}


@contextmanager
def faults(running: Emulator, **kinds: int) -> Iterator[None]:
    """Calls of the delivery stream fail: atlas_cli/local/firehose.py says which."""
    file = running.folder / firehose.FAULTS
    file.write_text(json.dumps(kinds))
    try:
        yield
    finally:
        file.unlink()


class Busy(Thread):
    """Sends ten requests a second until it is stopped, half of them with its first token, half with new ones."""

    def __init__(self, cloud: Cloud, registered: Registered) -> None:
        super().__init__(daemon=True)
        self.loyal: WatchedClient = client_of(cloud, registered, WatchedClient)
        self.fickle: WatchedClient = client_of(cloud, registered, WatchedClient)
        self.ids: list[str] = []
        self.kids: list[str] = []
        """Of the keys that the new tokens were signed with."""
        self._enough = Event()

    def run(self) -> None:
        while not self._enough.wait(0.15):
            for client_ in (self.loyal, self.fickle):
                for receipt in client_.send([event("wait"), event("watch")]):
                    self.ids += receipt.event_ids
            kid = jwt.get_unverified_header(self.fickle._token.text)["kid"]  # type: ignore[union-attr]
            self.kids += [] if kid in self.kids else [kid]
            if len(self.ids) % 20 == 0:
                self.fickle.forget_token()

    def answers(self) -> set[str]:
        """What came of all requests."""
        return set(self.loyal.report.answers) | set(self.fickle.report.answers)

    def stop(self) -> None:
        self._enough.set()
        self.join(30)
