"""Deploys the project's stacks to the local cloud: `cdk bootstrap` and `cdk deploy`, the templates unmodified."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from botocore.exceptions import ClientError

from atlas_cli import cdk
from atlas_cli.local import sealed
from atlas_cli.local.emulator import Emulator

Progress = Callable[[str], None]

_TOOLKIT = "CDKToolkit"
# "one-local | 7/31 | 9:01:02 AM | CREATE_FAILED | AWS::S3::Bucket | BucketX Resource handler returned ..."
_EVENT = re.compile(r"^\s*(?P<stack>[\w-]+) \|\s*\d+/\d+\s*\|[^|]*\|\s*(?P<state>[A-Z_]+)\s*\|(?P<what>.*)$")
_TAIL = 30
_SECONDS = 600.0


class DeployError(RuntimeError):
    """The CDK failed. The message names the resources that failed and why, or has the end of its output."""


def deploy(
    emulator: Emulator,
    progress: Progress = lambda _line: None,
    *,
    project: Path | None = None,
    stage: str = "local",
    arguments: Sequence[str] = (),
) -> None:
    """Bootstrap, unless that is done, and deploy every stack of `app.py`.

    `progress` is called with each step, and each stack as its turn comes; `project` is the folder of
    cdk.json (the emulator's project if None), `stage` the context value, `arguments` go to `cdk deploy`.
    Raises DeployError.
    """
    folder = project or Path(emulator.project)
    if not is_bootstrapped(emulator):
        progress("preparing the account (cdk bootstrap)")
        target = f"aws://{sealed.ACCOUNT}/{sealed.REGION}"
        # From the emulator's own folder: where there is a cdk.json the CLI would run the app for nothing.
        _run(["bootstrap", target], emulator, emulator.folder, progress)
    progress("synthesizing the stacks")
    output = emulator.folder / "cdk.out"
    options = ["--all", "--require-approval", "never", "--progress", "events", "--output", str(output)]
    _run(["deploy", *options, "-c", f"stage={stage}", *arguments], emulator, folder, progress)


def is_bootstrapped(emulator: Emulator) -> bool:
    """Whether the account has the CDK's bootstrap stack."""
    try:
        stacks = emulator.session().client("cloudformation").describe_stacks(StackName=_TOOLKIT)["Stacks"]
    except ClientError:  # ValidationError: there is none
        return False
    return stacks[0]["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")


def reasons(output: Sequence[str]) -> list[str]:
    """The lines of the CDK's output that say which resource failed, and why."""
    failed = [m for m in map(_EVENT.match, output) if m and m["state"].endswith("FAILED")]
    return [f"{m['stack']}: {m['state']} {m['what'].strip()}" for m in failed]


def _run(arguments: list[str], emulator: Emulator, folder: Path, progress: Progress) -> None:
    environment = {**cdk.environment(emulator.environment(os.environ)), "CI": "true", "NO_COLOR": "1"}
    with subprocess.Popen(  # noqa: S603 (the CDK CLI)
        cdk.command(*arguments),
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        # A custom resource that never answers would be waited for for an hour, as on AWS.
        watchdog = threading.Timer(_SECONDS, process.kill)
        watchdog.start()
        output = list(_follow(process, progress))
        watchdog.cancel()
    log = emulator.folder / "cdk.log"
    log.write_text("\n".join(output) + "\n")
    if process.returncode != 0:
        told = reasons(output) or output[-_TAIL:]
        late = f" within {_SECONDS:.0f} s" if process.returncode < 0 else ""
        raise DeployError(f"cdk {arguments[0]} failed{late} (all of it in {log}):\n" + "\n".join(told))


def _follow(process: subprocess.Popen[str], progress: Progress) -> Iterator[str]:
    last = ""
    for line in process.stdout or ():
        event = _EVENT.match(line)
        told = event["stack"] if event else last
        if told != last:
            progress(told)
            last = told
        yield line.rstrip("\n")
