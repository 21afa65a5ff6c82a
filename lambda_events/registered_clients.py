"""Which clients there are, and what they may use: what is written beside their secrets, never the secrets."""

from __future__ import annotations

from typing import Any

from atlas.access import AUDIENCES_TAG, audience
from lambda_events.clocks import Clocks
from lambda_events.secret_versions import described
from lambda_events.signing_keys import KEPT_SECONDS


class RegisteredClients:
    """The clients of a stage, whose secrets' names begin with `prefix`. Ask for nobody who has shown no proof."""

    def __init__(self, client: Any, prefix: str, stage: str, clocks: Clocks) -> None:
        self._client, self._prefix, self._stage, self._clocks = client, prefix, stage, clocks
        self._known: dict[str, tuple[float, frozenset[str] | None]] = {}

    def audiences(self, client_id: str) -> frozenset[str] | None:
        """The audiences that it may have tokens for; None if there is no such client any more."""
        now = self._clocks.monotonic()
        read_at, found = self._known.get(client_id, (float("-inf"), None))
        if now - read_at >= KEPT_SECONDS:
            found = self._read(client_id)
            self._known[client_id] = now, found
        return found

    def _read(self, client_id: str) -> frozenset[str] | None:
        secret = described(self._client, self._prefix + client_id)
        if secret is None:
            return None
        tags = {tag["Key"]: tag["Value"] for tag in secret.get("Tags", [])}
        return frozenset(audience(self._stage, api) for api in tags.get(AUDIENCES_TAG, "").split())
