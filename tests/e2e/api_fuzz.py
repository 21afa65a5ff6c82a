"""A property-based tester lets go at a running events API: what docs/openapi.json says has to be so."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode, Response

from atlas_cli.docs import DOCS

_REFUSALS = {400, 413, 415}


def fuzz(base_url: str, token: str, *, examples: int = 30) -> Counter[str]:
    """Sends so many good and so many bad requests, and checks every answer against the document.

    Answers with how often each status came, by path. Raises AssertionError, or schemathesis' own group of failures,
    with a request that shows the fault. The good events have any time: most are refused once they are accepted.
    """
    document = json.loads((DOCS / "openapi.json").read_text())
    for path in document["paths"].values():  # the tester would leave tokens out, and break them, where it likes
        del path["post"]["security"]
    schema = schemathesis.openapi.from_dict(document)
    seen: Counter[str] = Counter()

    def send(path: str, mode: GenerationMode, number: int, headers: dict[str, str], expected: set[int]) -> None:
        def check(case: Case[Any]) -> None:
            answer = _called(case, base_url, headers)
            seen[f"{path} {answer.status_code}"] += 1
            case.validate_response(answer, headers=headers, transport_kwargs={"base_url": base_url})
            assert answer.status_code in expected, f"{answer.status_code}: {answer.text}\n{case.as_curl_command()}"

        run_cases(schema[path]["POST"].as_strategy(generation_mode=mode), number, check)

    authorized = {"Authorization": f"Bearer {token}"}
    send("/events", GenerationMode.POSITIVE, examples, authorized, {202})
    send("/events", GenerationMode.NEGATIVE, examples, authorized, _REFUSALS)
    send("/events", GenerationMode.POSITIVE, 3, {}, {401})
    send("/token", GenerationMode.POSITIVE, 2, {}, {401})  # each takes half a second
    send("/token", GenerationMode.NEGATIVE, 5, {}, {400, 401})
    return seen


def run_cases(cases: Any, number: int, check: Callable[[Case[Any]], None]) -> None:
    """So many cases of a strategy, the same ones each time."""

    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def one(case: Case[Any]) -> None:
        check(case)

    one()


def _called(case: Case[Any], base_url: str, headers: dict[str, str]) -> Response:
    """The answer, once the API is not throttling any more."""
    answer = case.call(base_url=base_url, headers=headers)
    for _ in range(20):
        if answer.status_code != 429:
            break
        time.sleep(1)
        answer = case.call(base_url=base_url, headers=headers)
    return answer
