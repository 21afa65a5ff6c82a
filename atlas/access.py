"""Who may ask for what: the terms that tokens, clients and their secrets are made of, in one place.

A client is an application that was registered with `atlas client add`. Its secret in Secrets Manager is a JSON
object `{"client_id", "client_secret"}`, tagged with the APIs that it may use (AUDIENCES_TAG). The signing key is
another one: `{"kid", "key", "made_at"}`; the key's UTF-8 bytes sign. Current and previous versions hold.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import string
from dataclasses import dataclass, field
from typing import Any

ALGORITHM = "HS256"
"""The only one that signs tokens, and the only one that is accepted: RFC 8725, section 3.1."""
TOKEN_SECONDS = 20 * 60
"""How long a token is valid."""
KEY_CHARACTERS = 64
"""Of letters and digits: some 380 random bits, more than the 256 that RFC 7518, section 3.2, asks for."""
SECRET_CHARACTERS = 48
"""Of a client's secret: letters and digits."""
_LETTERS_AND_DIGITS = string.ascii_letters + string.digits
_LEAST_KEY_BYTES = 32
"""RFC 7518, section 3.2: a key for HS256 is at least as long as its hash."""

EVENTS_API, QUERIES_API = "events", "queries"
APIS = (EVENTS_API, QUERIES_API)
AUDIENCES_TAG = "audiences"
"""The tag of a client's secret with the APIs that it may use, separated by blanks."""

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
"""The stages of a secret's versions: https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets.html"""

_CLIENT_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?")


def issuer(stage: str) -> str:
    """The `iss` of a stage's tokens."""
    return f"atlas-{stage}"


def audience(stage: str, api: str) -> str:
    """The `aud` of tokens for one of a stage's APIs, and what a client asks a token for."""
    return f"atlas-{stage}/{api}"


def is_client_id(text: str) -> bool:
    """Whether a client could be called that: 1 to 48 lower-case letters, digits and hyphens."""
    return _CLIENT_ID.fullmatch(text) is not None


def usage_key(key_name: str) -> str:
    """The value of the API key of that name (Names.client_key), by which the usage plan knows a client.

    64 hex digits, since API Gateway takes 20 to 128 letters and digits. It is no secret, and opens nothing:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-usage-plans.html
    """
    return hashlib.sha256(key_name.encode()).hexdigest()


class UnreadableSecretError(ValueError):
    """What a secret holds is not what Atlas puts there. The message says nothing of what it is."""


@dataclass(frozen=True)
class SigningKey:
    """What tokens are signed with."""

    kid: str
    key: str = field(repr=False)
    made_at: int = 0
    """Seconds since 1970; 0 for the first key, which is there before any token."""

    @classmethod
    def fresh(cls, kid: str, made_at: int) -> SigningKey:
        """A new one."""
        return cls(kid, _random(KEY_CHARACTERS), made_at)

    def to_secret(self) -> str:
        """As its secret holds it."""
        return json.dumps({"kid": self.kid, "key": self.key, "made_at": self.made_at})

    @classmethod
    def from_secret(cls, text: str) -> SigningKey:
        """The inverse of `to_secret`; the first key has no `made_at`. Raises UnreadableSecretError."""
        told = _object(text)
        kid, key, made_at = told.get("kid"), told.get("key"), told.get("made_at", 0)
        if not (isinstance(kid, str) and kid and isinstance(key, str) and type(made_at) is int):
            raise UnreadableSecretError('a signing key is {"kid": text, "key": text, "made_at": seconds}')
        if not key.isascii() or len(key) < _LEAST_KEY_BYTES:
            raise UnreadableSecretError(
                f"a signing key has at least {_LEAST_KEY_BYTES} characters, all of them ASCII"
            )
        return cls(kid, key, made_at)


@dataclass(frozen=True)
class ClientSecret:
    """What a client shows to get a token."""

    client_id: str
    client_secret: str = field(repr=False)

    @classmethod
    def fresh(cls, client_id: str) -> ClientSecret:
        """A new one."""
        return cls(client_id, _random(SECRET_CHARACTERS))

    def to_secret(self) -> str:
        """As its secret holds it."""
        return json.dumps({"client_id": self.client_id, "client_secret": self.client_secret})

    @classmethod
    def from_secret(cls, text: str, client_id: str) -> ClientSecret:
        """The inverse of `to_secret`, for a secret that is to be this client's. Raises UnreadableSecretError."""
        told = _object(text)
        value = told.get("client_secret")
        if told.get("client_id") != client_id or not isinstance(value, str) or len(value) < SECRET_CHARACTERS:
            raise UnreadableSecretError(
                'a client\'s secret is {"client_id": its own, "client_secret": text}, and the text has at least '
                f"{SECRET_CHARACTERS} characters"
            )
        return cls(client_id, value)


def _random(characters: int) -> str:
    """Letters and digits by the system's own generator, some 5.95 bits each."""
    return "".join(secrets.choice(_LETTERS_AND_DIGITS) for _ in range(characters))


def _object(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise UnreadableSecretError("a secret is a JSON object") from None
    return told
