"""The keys that sign tokens, as they change.

A rotated key is known to every authorizer before the first token is signed with it: they take the pending version
for valid too, and tokens are signed with the previous one until the current is as old as any of their readings may
be. So no client is refused while a key is renewed, whichever container it meets.
"""

from __future__ import annotations

import logging
from typing import Any

from atlas.access import CURRENT, PENDING, PREVIOUS, SigningKey, UnreadableSecretError
from lambda_events.clocks import Clocks
from lambda_events.secret_versions import described, value_of

KEPT_SECONDS = 10
"""So old may be what an authorizer knows: of keys, and of clients."""
KNOWN_EVERYWHERE_SECONDS = 3 * KEPT_SECONDS
"""So old is a key that all authorizers have read, with time for clocks that differ."""
_AGAIN_SECONDS = 2
"""Between two readings for keys that nobody knows: whoever sends nonsense causes one call in so many seconds."""
_STAGES = (PENDING, PREVIOUS, CURRENT)
"""Of the versions that hold; the last of the same `kid` counts."""

_log = logging.getLogger(__name__)


class NoSigningKeyError(Exception):
    """There is no key that could sign. The message names the secret."""


class SigningKeys:
    """The versions of the secret of that name. One container's, for as long as it lives."""

    def __init__(self, client: Any, secret: str, clocks: Clocks) -> None:
        self._client, self._secret, self._clocks = client, secret, clocks
        self._versions: dict[str, SigningKey] = {}
        self._stages: dict[str, SigningKey] = {}
        self._read_at = float("-inf")

    def named(self, kid: str) -> SigningKey | None:
        """The key that a token names, if it holds."""
        if self._age() >= KEPT_SECONDS or (self._find(kid) is None and self._age() >= _AGAIN_SECONDS):
            self._read()
        return self._find(kid)

    def to_sign(self) -> SigningKey:
        """The key to sign with, read anew: a token whose key is gone would be worth nothing.

        Raises NoSigningKeyError.
        """
        self._read()
        key, previous = self._stages.get(CURRENT), self._stages.get(PREVIOUS)
        if key is None:
            raise NoSigningKeyError(f"secret {self._secret} has no current version that is a signing key")
        is_new = self._clocks.now() < key.made_at + KNOWN_EVERYWHERE_SECONDS
        return previous if is_new and previous else key

    def _age(self) -> float:
        return self._clocks.monotonic() - self._read_at

    def _find(self, kid: str) -> SigningKey | None:
        return {self._stages[stage].kid: self._stages[stage] for stage in _STAGES if stage in self._stages}.get(kid)

    def _read(self) -> None:
        """One call, and one more for each version that is new: what a version holds never changes."""
        began = self._clocks.monotonic()
        found = described(self._client, self._secret)
        if found is None:
            raise NoSigningKeyError(f"there is no secret {self._secret}")
        stages = {
            stage: version
            for version, labels in (found.get("VersionIdsToStages") or {}).items()
            for stage in labels
            if stage in _STAGES
        }
        versions = {
            version: self._versions.get(version) or self._value(version) for version in set(stages.values())
        }
        self._versions = {version: key for version, key in versions.items() if key}
        self._stages = {
            stage: self._versions[version] for stage, version in stages.items() if version in self._versions
        }
        self._read_at = began

    def _value(self, version: str) -> SigningKey | None:
        """None for a version that has no value yet, and for what is no key."""
        text = value_of(self._client, self._secret, VersionId=version)
        try:
            return SigningKey.from_secret(text) if text else None
        except UnreadableSecretError as fault:
            _log.error("version %s of %s is no signing key: %s", version, self._secret, fault)
            return None
