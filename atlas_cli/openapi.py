"""docs/openapi.json: the events API as OpenAPI 3.1, with the schema of events from the one file that has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from atlas import access, events
from stacks.events_problems import PROBLEM_JSON, PROBLEMS

_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"
_TEXT = {"type": "string"}
_FORMATS = {"event_id": "uuid", "timestamp": "date-time"}
"""Annotations for generators of clients: the patterns are what counts."""
_EVENT = {
    "event_id": "3f2b8c1e-7d4a-4f6b-9c0d-5e8a1b2c3d4e",
    "timestamp": "2026-11-20T10:00:00Z",
    "user_id": "u-1",
    "action": "login",
    "properties": {"page": "/checkout"},
}
MEANINGS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "The body is no JSON, or breaks the schema. Nothing of it was accepted.",
    HTTPStatus.UNAUTHORIZED: "There is no token, or it has expired, is for another API, or its client is gone.",
    HTTPStatus.FORBIDDEN: "The client may not use this API any more.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is longer than 1 MiB. Nothing of it was accepted.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not called JSON. Nothing of it was accepted.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests, of this client or of all. Send this one again later.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Nobody knows whether the request was queued. Send it again later.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Nobody knows whether the request was queued. Send it again later.",
    HTTPStatus.GATEWAY_TIMEOUT: "Nobody knows whether the request was queued. Send it again later.",
}
"""What each refusal of the gateway means for who sent a request for events."""
_OF_THE_VALIDATOR = (
    "$context.error.validationErrorString",
    '[object has missing required properties (["action"])]',
)


def problem(status: HTTPStatus) -> dict[str, Any]:
    """What the gateway answers with that status, as an example."""
    told: dict[str, Any] = json.loads(
        next(found for found in PROBLEMS.values() if found.status == status).document()
    )
    return told | {"detail": told["detail"].replace(*_OF_THE_VALIDATOR)}


def document() -> dict[str, Any]:
    """The whole of it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Atlas events API",
            "version": "1",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Events over HTTP, in Athena within minutes. docs/events-api.md has the guarantees.",
        },
        "servers": [
            {
                "url": "https://{api}.execute-api.{region}.amazonaws.com/v1",
                "variables": {"api": {"default": "abcdefghij"}, "region": {"default": "us-east-1"}},
            }
        ],
        "paths": {"/token": {"post": _token()}, "/events": {"post": _events()}},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": _schemas(),
        },
    }


def page() -> str:
    """The document as a file."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _token() -> dict[str, Any]:
    asked = {"schema": _ref("TokenRequest")}
    refusals = {
        "400": (
            "The request cannot be read; the description names the field.",
            "invalid_request",
            "audience is missing",
        ),
        "401": (
            "The client is unknown or the secret is wrong.",
            "invalid_client",
            "the client id or secret is wrong",
        ),
        "403": (
            "The client may not use this audience.",
            "invalid_target",
            "the client may not use this audience",
        ),
    }
    return {
        "operationId": "get_token",
        "summary": "A token, valid for 20 minutes",
        "description": "RFC 6749, section 4.4. The client id and secret may come by HTTP Basic instead.",
        "security": [],
        "requestBody": {"required": True, "content": {_JSON: asked, _FORM: asked}},
        "responses": {
            "200": _answer("The token.", "Token", _JSON),
            **{
                status: _answer(what, "TokenError", _JSON, {"error": code, "error_description": description})
                for status, (what, code, description) in refusals.items()
            },
            **_problems(HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.GATEWAY_TIMEOUT),
        },
    }


def _events() -> dict[str, Any]:
    return {
        "operationId": "send_events",
        "summary": "One event, or up to 500",
        "security": [{"token": []}],
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": _ref("Events"), "examples": {"one": {"value": _EVENT}}}},
        },
        "responses": {
            "202": _answer("All events of the request are accepted.", "Accepted", _JSON),
            **_problems(*MEANINGS),
        },
    }


def _schemas() -> dict[str, Any]:
    return {
        "Events": {
            "oneOf": [
                _ref("Event"),
                {"type": "array", "minItems": 1, "maxItems": events.MOST_EVENTS, "items": _ref("Event")},
            ]
        },
        "Event": _event(),
        "Accepted": {
            "type": "object",
            "required": ["request_id", "accepted", "event_ids"],
            "properties": {
                "request_id": _TEXT | {"description": "What brought the events: `request_id` in the tables."},
                "accepted": {"type": "integer", "minimum": 1, "maximum": events.MOST_EVENTS},
                "event_ids": {
                    "type": "array",
                    "items": _TEXT | {"format": "uuid"},
                    "description": "In the order of the events; the client's own ones as they came.",
                },
            },
        },
        "TokenRequest": {
            "type": "object",
            "required": ["client_id", "client_secret", "audience"],
            "properties": {
                "client_id": _TEXT | {"minLength": 1},
                "client_secret": _TEXT | {"minLength": 1},
                "audience": _TEXT | {"minLength": 1, "examples": [access.audience("prod", access.EVENTS_API)]},
                "grant_type": {"type": "string", "const": "client_credentials"},
            },
        },
        "Token": {
            "type": "object",
            "required": ["access_token", "token_type", "expires_in"],
            "properties": {
                "access_token": _TEXT,
                "token_type": {"type": "string", "const": "Bearer"},
                "expires_in": {"type": "integer", "description": "Seconds.", "examples": [access.TOKEN_SECONDS]},
            },
        },
        "TokenError": {
            "type": "object",
            "required": ["error", "error_description"],
            "properties": {"error": _TEXT, "error_description": _TEXT},
        },
        "Problem": {
            "type": "object",
            "description": "RFC 9457.",
            "required": ["type", "title", "status", "detail"],
            "properties": {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT},
        },
    }


def _event() -> dict[str, Any]:
    """The schema of one event, without references, and with its map in words that generators know."""
    schema = events.event_schema()
    definitions: dict[str, Any] = {
        name: definition | ({"format": _FORMATS[name]} if name in _FORMATS else {})
        for name, definition in schema["definitions"].items()
    }
    [(pattern, value)] = definitions["properties"]["patternProperties"].items()
    made = {key: told for key, told in definitions["properties"].items() if key != "patternProperties"}
    definitions["properties"] = made | {"propertyNames": {"pattern": pattern}, "additionalProperties": value}
    return {
        "type": "object",
        "required": schema["required"],
        "additionalProperties": False,
        "properties": {name: definitions[name] for name in schema["properties"]},
    }


def _problems(*statuses: HTTPStatus) -> dict[str, Any]:
    return {
        str(status.value): _answer(MEANINGS[status], "Problem", PROBLEM_JSON, problem(status))
        for status in statuses
    }


def _answer(what: str, schema: str, content_type: str, example: Any = None) -> dict[str, Any]:
    content = {"schema": _ref(schema)} | ({"example": example} if example else {})
    return {"description": what, "content": {content_type: content}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
