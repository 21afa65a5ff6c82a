"""A property-based tester lets go at a running query API: what its own OpenAPI document says has to be so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.e2e.api_fuzz import run_cases

_METHOD = "GET"
_RARELY = ("/logins_today", "/freshness", "/answers/{id}")
"""Athena is asked each time, or no parameter makes a difference."""


def fuzz(base_url: str, token: str, days: Sequence[str], *, examples: int = 10) -> Counter[str]:
    """Sends so many good and so many bad requests for each resource, and checks every answer against the document.

    `days` are in the lake; half of all days that are asked for are of these. Answers with how often each status
    came, by path. Raises AssertionError, or schemathesis' own failures, with a request that shows the fault.
    """
    document = requests.get(f"{base_url}/openapi.json", timeout=30).json()
    for path in document["paths"].values():  # the tester would leave tokens out, and break them, where it likes
        del path["get"]["security"]
    some = [date.fromisoformat(day) for day in days]
    schemathesis.openapi.format("date", (st.sampled_from(some) | st.dates()).map(date.isoformat))
    schema = schemathesis.openapi.from_dict(document)
    seen: Counter[str] = Counter()
    session = requests.Session()

    def check(case: Case[Any]) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        answer = case.call(base_url=base_url, headers=headers, session=session)
        seen[f"{case.operation.path} {answer.status_code}"] += 1
        # What the schema cannot say is refused as well: from > to, a zone that there is not, a token of ours.
        case.validate_response(answer, excluded_checks=[positive_data_acceptance], headers=headers)

    for path, found in document["paths"].items():
        modes = [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if found["get"].get("parameters") else [])]
        for mode in modes:
            number = examples // 5 if path in _RARELY else examples
            run_cases(schema[path][_METHOD].as_strategy(generation_mode=mode), number, check)
    return seen
