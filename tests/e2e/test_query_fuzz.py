"""The query API as `atlas serve` has it, over the deployed stage: nothing that is sent makes it fail."""

from __future__ import annotations

import pytest
import urllib3

from atlas_cli.cloud import Cloud
from atlas_cli.serve import serving
from tests.e2e.conftest import Sample
from tests.e2e.query_fuzz import fuzz


@pytest.mark.timeout(400)
def test_no_request_makes_it_fail_and_every_answer_is_what_its_document_says(cloud: Cloud, sample: Sample) -> None:
    with serving(cloud) as served:
        seen = fuzz(served.url, served.token, sample.days)
    assert not [counted for counted in seen if counted.rpartition(" ")[2].startswith("5")]
    for path in ("/daily_activity/{date}", "/books", "/refusals/{date}", "/logins_today", "/freshness", "/health"):
        assert seen[f"{path} 200"], (path, seen)
    for path in ("/daily_activity", "/endpoints/{date}", "/refusals/{date}", "/logins_today"):
        assert seen[f"{path} 400"], (path, seen)


def test_only_whoever_has_the_token_and_asks_under_a_loopback_name_is_answered(cloud: Cloud) -> None:
    with serving(cloud) as served:
        right = {"Authorization": f"Bearer {served.token}"}
        asked = {
            "right": right,
            "no token": {},
            "another token": {"Authorization": f"Bearer {served.token}x"},
            "another name": {**right, "Host": "atlas.example"},
            "a name that leads here": {**right, "Host": "127.0.0.1.atlas.example:8000"},
        }
        found = {
            what: urllib3.request("GET", f"{served.url}/books/1999-12-31", headers=headers, retries=False).status
            for what, headers in asked.items()
        }
        assert found == {
            "right": 200, "no token": 401, "another token": 401, "another name": 421, "a name that leads here": 421,
        }  # fmt: skip
