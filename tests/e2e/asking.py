"""Whoever asks the query API: over HTTP, with a token or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3

from atlas.access import QUERIES_API
from atlas_cli import client
from atlas_cli.cloud import Cloud
from tests.e2e.sending import Heard, Registered


def register(cloud: Cloud, name: str, *apis: str) -> Registered:
    """Adds a client, of the query API unless told otherwise."""
    heard = Heard()
    client.run(cloud, "add", name, heard, apis or (QUERIES_API,))
    [told] = heard.told
    return told


def token_of(cloud: Cloud, registered: Registered, audience: str = "") -> str:
    """A token, as the page gets one: by a form, at the API's own address."""
    form = {
        "grant_type": "client_credentials",
        "client_id": registered["client_id"],
        "client_secret": registered["client_secret"],
        "audience": audience or registered["audience"],
    }
    answer = urllib3.request(
        "POST",
        f"{cloud.queries_url}/token",
        body=urlencode(form),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        retries=False,
        timeout=30,
    )
    assert answer.status == 200, answer.data
    return str(answer.json()["access_token"])


@dataclass(frozen=True)
class Asking:
    """Asks with one token, or with none."""

    cloud: Cloud
    token: str | None = None

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        """Whatever comes of it."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return urllib3.request("GET", self.cloud.queries_url + path, headers=sent, retries=False, timeout=60)

    def told(self, path: str) -> Any:
        """The document that is answered, which it has to be."""
        answer = self.get(path)
        assert answer.status == 200, answer.data
        return answer.json()
