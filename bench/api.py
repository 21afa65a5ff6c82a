"""How long the query API takes for a closed day that it has kept, through the local cloud's gateway, with a token.

    python bench/api.py [--requests N] [--day YYYY-MM-DD] [--json]

The local cloud has to be up, with that day published: `atlas demo --keep`. Each request goes the whole way:
gateway, authorizer, function; for data also a listing of S3, which tells whether the day was published anew.
Athena is asked once, before. Requests go one after another, and the kinds take turns: all bear the same load.

    health      GET /health: the gateway and a function that has nothing to do; the floor
    kept        GET /daily_activity/DAY, as the function keeps it
    unchanged   the same with If-None-Match: 304

docs/performance.md says what the numbers mean. The exit status is 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Mapping
from urllib.parse import urlencode

import urllib3
from report import Row, Table, Verdict, machine, tell

from atlas import access
from atlas_cli import client
from atlas_cli.cloud import LOCAL, Cloud, connect
from atlas_cli.console import CommandError, Say

REQUESTS, WARM_UP = 300, 20
DAY = "2024-11-29"
MAX_P95_MS = 50
_CLIENT = "bench-api"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

COLUMNS = {
    "kind": ("request", ""),
    "p50_ms": ("p50 ms", ".1f"),
    "p95_ms": ("p95 ms", ".1f"),
    "p99_ms": ("p99 ms", ".1f"),
    "of_health": ("p50 of health's", ".2f"),
    "bytes": ("bytes", ",.0f"),
}


def measured(cloud: Cloud, token: str, day: str, number: int) -> tuple[list[Row], float]:
    """A row a kind, and the milliseconds of the first answer, for which Athena is asked. Raises CommandError."""
    pool = urllib3.PoolManager(retries=False, timeout=60)
    path = f"/daily_activity/{day}"
    sent = {"Authorization": f"Bearer {token}"}
    first_ms, first = _timed(pool, cloud.queries_url + path, sent)
    if first.status != 200:
        raise CommandError(
            f"{path} is {first.status}: {first.data.decode()}\nIs the day published? atlas demo --keep"
        )
    asked: Mapping[str, tuple[str, dict[str, str], int]] = {
        "health": ("/health", {}, 200),
        "kept": (path, sent, 200),
        "unchanged": (path, {**sent, "If-None-Match": first.headers["ETag"]}, 304),
    }
    took: dict[str, list[float]] = {kind: [] for kind in asked}
    lengths = {}
    for turn in range(WARM_UP + number):
        for kind, (where, headers, expected) in asked.items():
            took_ms, answer = _timed(pool, cloud.queries_url + where, headers)
            if answer.status != expected:
                raise CommandError(f"{where} is {answer.status}: {answer.data.decode()}")
            lengths[kind] = len(answer.data)
            if turn >= WARM_UP:
                took[kind].append(took_ms)
    floor = statistics.median(took["health"])
    rows = [
        {"kind": kind, **_percentiles(times), "of_health": statistics.median(times) / floor, "bytes": lengths[kind]}
        for kind, times in took.items()
    ]
    return rows, first_ms


def _timed(
    pool: urllib3.PoolManager, url: str, headers: Mapping[str, str]
) -> tuple[float, urllib3.BaseHTTPResponse]:
    began = time.perf_counter()
    answer = pool.request("GET", url, headers=headers)
    return (time.perf_counter() - began) * 1000, answer


def _percentiles(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {f"p{percent}_ms": cuts[percent - 1] for percent in (50, 95, 99)}


def token_of(cloud: Cloud, client_secret: str) -> str:
    """By the API's own address, as every client gets one."""
    form = {
        "grant_type": "client_credentials",
        "client_id": _CLIENT,
        "client_secret": client_secret,
        "audience": access.audience(cloud.stage, access.QUERIES_API),
    }
    answer = urllib3.request("POST", f"{cloud.queries_url}/token", body=urlencode(form), headers=_FORM, timeout=60)
    return str(answer.json()["access_token"])


def verdicts(rows: list[Row]) -> list[Verdict]:
    """The targets, and whether they are met."""
    kept = next(row for row in rows if row["kind"] == "kept")
    return [(f"p95 of a kept day: {kept['p95_ms']:.1f} ms, at most {MAX_P95_MS}", kept["p95_ms"] <= MAX_P95_MS)]


def main() -> int:
    """Measures, tells."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--requests", type=int, default=REQUESTS, metavar="N")
    parser.add_argument("--day", default=DAY, metavar="DAY")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    try:
        cloud = connect(LOCAL)
        made = client.add(cloud, _CLIENT, access.QUERIES_API)
        try:
            rows, first_ms = measured(cloud, token_of(cloud, made.client_secret), args.day, args.requests)
        finally:
            client.run(cloud, "remove", _CLIENT, Say())
    except CommandError as fault:
        print(f"bench/api.py: {fault}", file=sys.stderr)
        return 1
    note = f"{args.requests} requests each. The first answer, for which Athena was asked: {first_ms:,.0f} ms."
    return tell([Table(rows, COLUMNS, note)], machine(), verdicts(rows), as_json=args.json)


if __name__ == "__main__":
    sys.exit(main())
