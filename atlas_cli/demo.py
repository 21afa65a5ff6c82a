"""`atlas demo`: the main job on the sample data, from nothing to gold, on a local AWS."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from atlas import access, lake
from atlas_cli import books, client, demo_events
from atlas_cli.cloud import LOCAL, Cloud, connect
from atlas_cli.console import CommandError, Say
from atlas_cli.local import deploy, emulator
from atlas_cli.project import ROOT, SAMPLE
from atlas_cli.put import put, verdict_row
from atlas_cli.query import ask
from atlas_cli.run import in_words, run

_READER = "demo-page"


def up(say: Say) -> Cloud:
    """Starts the local cloud, if it does not run, and deploys the stacks as they are now."""
    there = emulator.running(ROOT)
    running = there or emulator.start(ROOT)
    say.step(f"{'found' if there else 'started'} the local cloud at {running.endpoint}, IAM enforced")
    deploy.deploy(running, lambda step: say.step(f"  {step}"))
    say.step("deployed the stacks of stage local")
    return connect(LOCAL)


def down(say: Say) -> None:
    """Stops the local cloud, and with it all it held."""
    say.step("stopped the local cloud" if emulator.stop(ROOT) else "the local cloud was not up")


def demo(say: Say, *, keep: bool) -> None:
    """Up, drop the sample, process its days, show gold and the books, down."""
    say.step("Atlas demo: log files -> S3 -> tables that you can trust, on a local AWS")
    if emulator.running(ROOT):
        raise CommandError("the local cloud is up already, and the demo wants an empty one. Stop it: atlas down")
    try:
        cloud = up(say)
        days = _demo(cloud, say)
    finally:
        if not keep:
            down(say)
    if keep:
        _tell_of_the_page(cloud, days, say)
        say.note()
        say.note("The local cloud is still up. Go on:")
        say.note('  .venv/bin/atlas query "SELECT app_name, requests FROM hourly_activity WHERE hour = 9"')
        say.note("  .venv/bin/atlas put YOUR.log && .venv/bin/atlas run && .venv/bin/atlas books")
        say.note("  .venv/bin/atlas refusals      .venv/bin/atlas status      .venv/bin/atlas down")
    else:
        say.note("Go on: .venv/bin/atlas demo --keep leaves it up; then put your own files, run, query.")


def _demo(cloud: Cloud, say: Say) -> list[str]:
    """The days of the sample, once they are in gold. Raises CommandError."""
    truth = json.loads((SAMPLE / "expected.json").read_text())
    files = {f"{lake.RAW}{file['path']}": SAMPLE / file["path"] for file in truth["files"]}
    entries = put(cloud, files, say)
    say.rows("Ingestion", [verdict_row(entry) for entry in entries])
    days = sorted(truth["days"])
    outcomes = run(cloud, {"process_dates": days}, say)
    failed = [day for day in outcomes if day["outcome"] != "published"]
    if failed:
        raise CommandError(f"not every day was published: {json.dumps(failed)}")
    say.note()
    say.note(in_words(outcomes))
    say.note()
    span = {"from": days[0], "to": days[-1]}
    for name in ("daily_activity", "requests_by_app"):
        say.rows(f"Gold: {name}", ask(cloud, name, span))
    say.note(books.in_words(books.show(cloud, span, say)))
    say.note()
    demo_events.show(cloud, say)
    return days


def _tell_of_the_page(cloud: Cloud, days: list[str], say: Say) -> None:
    """A link that is signed in: what follows `#` stays in the browser, and this cloud on this machine."""
    made = client.add(cloud, _READER, access.QUERIES_API)
    shown = urlencode({"from": days[0], "to": days[-1]})
    signed_in = urlencode({"client_id": made.client_id, "client_secret": made.client_secret})
    say.note(f"The page, with both days of the sample, signed in as client {_READER}:")
    say.note(f"  {cloud.queries_url}/?{shown}#{signed_in}")
    say.note(f"The API's reference: {cloud.queries_url}/docs")
