"""docs/openapi.json says what the API takes and answers, in a form that generators of clients read."""

from __future__ import annotations

import importlib
import json
import sys
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jsonschema_rs
import openapi_python_client
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_python_client.config import Config, ConfigFile, MetaType

from atlas import access, events
from atlas_cli.docs import DOCS
from atlas_cli.openapi import MEANINGS, document, problem
from examples.send_events import ATTEMPTS, MOST_BYTES
from stacks.config import StageConfig, read_context
from stacks.events_gateway import TOKENS_PER_SECOND
from stacks.events_problems import PROBLEMS
from tests.unit.test_event_schema import events_on_bounds, nearly_good, values


def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    """Of one of the document's schemas."""
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/components/schemas/{name}", **document()})


def test_its_bounds_of_events_are_those_of_the_schema() -> None:
    whole = jsonschema_rs.Draft4Validator(events.schema())
    one = events_on_bounds()[0]
    made = [*events_on_bounds(), *([one] * number for number in (0, 1, events.MOST_EVENTS, events.MOST_EVENTS + 1))]
    found = [_validator("Events").is_valid(body) for body in made]
    assert found == [whole.is_valid(body) for body in made]
    assert {*found} == {True, False}


@given(nearly_good() | st.lists(nearly_good() | values, max_size=2) | values)
@settings(max_examples=100, deadline=None)
def test_what_it_says_of_events_is_what_the_schema_says(body: Any) -> None:
    try:
        valid = jsonschema_rs.Draft4Validator(events.schema()).is_valid(body)
    except (ValueError, UnicodeEncodeError):  # single surrogates
        return
    assert _validator("Events").is_valid(body) is valid


def test_every_answer_of_the_gateway_is_there_with_an_example() -> None:
    answers = document()["paths"]["/events"]["post"]["responses"]
    assert {HTTPStatus(int(status)) for status in answers} == {*MEANINGS, HTTPStatus.ACCEPTED}
    assert {found.status for found in PROBLEMS.values()} - {HTTPStatus.NOT_FOUND} == set(MEANINGS)
    for path in document()["paths"].values():
        for status, answer in path["post"]["responses"].items():
            for content in answer["content"].values():
                name = content["schema"]["$ref"].rpartition("/")[2]
                if "example" in content:
                    assert _validator(name).is_valid(content["example"])
                    assert content["example"].get("status", int(status)) == int(status)


def test_a_generated_client_sends_events_that_the_schema_accepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "generated_atlas_client"
    config = Config.from_sources(
        ConfigFile(post_hooks=[]), MetaType.NONE, DOCS / "openapi.json", "utf-8", overwrite=True, output_path=out
    )
    assert openapi_python_client.generate(config=config) == []
    capsys.readouterr()
    monkeypatch.syspath_prepend(tmp_path)
    models = importlib.import_module("generated_atlas_client.models")
    event = models.Event(timestamp=datetime.now(UTC), user_id="u-1", action="login")
    event.properties = models.EventProperties()
    event.properties["page"] = "/"
    sent = json.loads(json.dumps(event.to_dict()))
    assert sent["properties"] == {"page": "/"}
    assert jsonschema_rs.Draft4Validator(events.schema()).is_valid(sent)
    for name in [name for name in sys.modules if name.startswith("generated_atlas_client")]:
        del sys.modules[name]


def test_the_page_for_producers_shows_every_refusal_as_it_is_answered() -> None:
    page = (DOCS / "events-api.md").read_text()
    shown = [json.loads(line) for line in page.splitlines() if line.startswith('{"')]
    problems = [problem(status) for status in MEANINGS]
    answers = document()["paths"]["/token"]["post"]["responses"]
    errors = [answers[status]["content"]["application/json"]["example"] for status in ("400", "401", "403")]
    assert [one for one in shown if "title" in one] == problems
    assert [one for one in shown if "error" in one] == errors
    assert [bool(one.get("access_token")) or one["accepted"] == 1 for one in shown[:2]] == [True, True]


def test_the_page_for_producers_says_the_bounds_that_hold() -> None:
    page = " ".join((DOCS / "events-api.md").read_text().split())
    config = StageConfig.load("prod", read_context()).events
    fields = events.schema()["definitions"]
    for said in (
        f"list of up to {events.MOST_EVENTS}",
        f"at most {events.OLDEST.days} days before it comes in, and {events.NEWEST.seconds // 60} minutes after",
        f"who did it: 1 to {fields['user_id']['maxLength']} characters",
        f"such as `login`: 1 to {fields['action']['maxLength']} characters",
        f"done with: 1 to {fields['device']['maxLength']} characters",
        f"up to {fields['properties']['maxProperties']} names (64 letters",
        f"stay below {MOST_BYTES:,} bytes",
        f"{config.client_requests_per_second} requests a second of one client",
        f"{config.requests_per_second} of all clients together",
        f"Tokens: {TOKENS_PER_SECOND} a second",
        f"`events.buffer_seconds`, {config.buffer_seconds}",
        f"lasts for {access.TOKEN_SECONDS // 60} minutes",
        f"renewed**, every {config.rotation_days} days",
        f"gives up after {ATTEMPTS} attempts",
    ):
        assert said in page
