"""The local cloud's life cycle: one emulator a project folder, found again by whoever asks.

State lives in `<project>/.atlas/`. Whether the emulator runs is told by a lock that its process holds, not by
its process id: a crash or a reboot lets go of the lock, and a copied folder does not copy it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import boto3

from atlas_cli.local import sealed
from atlas_cli.local.glue_runner import RUNS_LOCK
from atlas_cli.local.launcher import hold

FOLDER = ".atlas"
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_ATTEMPTS = 3  # a free port may be taken between its choice and its use


class EmulatorError(RuntimeError):
    """The emulator did not do what was asked. The message says why, with the end of its log."""


@dataclass(frozen=True)
class Emulator:
    """A running emulator: `project` is the absolute project folder, `pid` and `port` are the process's."""

    project: str
    pid: int
    port: int

    @property
    def folder(self) -> Path:
        """Where its state, logs and scratch files are."""
        return Path(self.project) / FOLDER

    @property
    def endpoint(self) -> str:
        """The address of every AWS service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """The emulator's own log."""
        return self.folder / "emulator.log"

    @property
    def glue_logs(self) -> Path:
        """`<job>/<run id>.log` of each Glue run, with `<run id>.json`, its receipt."""
        return self.folder / "glue"

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a process that talks to this emulator and to no other AWS.

        Made from `base`, or from this process's environment.
        """
        return {**sealed.scrubbed(os.environ if base is None else base), **sealed.variables(self.port)}

    def session(self) -> boto3.Session:
        """A boto3 session as the administrator. Its clients reach this emulator only."""
        return sealed.session(self.endpoint)


def running(project: Path) -> Emulator | None:
    """The emulator of this project folder, if it runs."""
    folder = project.resolve() / FOLDER
    if not folder.is_dir():
        return None
    free = hold(folder / "emulator.lock", shared=True)
    if free is not None:
        free.close()
        return None
    return _read_state(folder)


def start(project: Path) -> Emulator:
    """Start the emulator, or find the one that runs. EmulatorError if it does not come up."""
    folder = project.resolve() / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "start.lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # two starts at once: the second finds the first one's emulator
        found = running(project)
        if found is not None:
            if _came_up(found, lambda: running(project) is not None):
                return found
            _end(found)  # it hangs
        for attempt in range(1, _ATTEMPTS + 1):
            _clean(folder)
            started, process = _launch(folder)
            # Before it is up: whoever is interrupted now leaves an emulator that `stop` can find.
            (folder / "emulator.json").write_text(json.dumps(asdict(started)) + "\n")
            if _came_up(started, lambda: process.poll() is None):  # noqa: B023 (called in this turn only)
                return started
            _end_group(started.pid)
            process.wait()
            if "already in use" not in _read(started.log) or attempt == _ATTEMPTS:
                raise EmulatorError(
                    f"the local cloud did not start; the end of {started.log}:\n{_tail(started.log)}"
                )
    raise AssertionError("unreachable")


def stop(project: Path) -> bool:
    """End the emulator with its functions and job runs; False if none ran. What it held is gone, logs stay."""
    folder = project.resolve() / FOLDER
    if not folder.is_dir():
        return False
    with (folder / "start.lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        found = running(project)
        if found is not None:
            _end(found)
        _clean(folder)
    return found is not None


def _launch(folder: Path) -> tuple[Emulator, subprocess.Popen[bytes]]:
    port = _free_port()
    keep = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV"}}
    with (folder / "emulator.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 (our own module)
            [sys.executable, "-m", "atlas_cli.local.launcher", str(folder), str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=keep,
            start_new_session=True,  # its own group, which is how `stop` ends it whole; and no Ctrl-C of ours
        )
    return Emulator(str(folder.parent), process.pid, port), process


def _came_up(emulator: Emulator, alive: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        if not alive():
            return False
        try:
            with opener.open(f"{emulator.endpoint}/_ministack/health", timeout=2) as answer:
                # Another copy may have taken the port at the same moment; only our own log says it is ours.
                if answer.status == 200 and f"Running on {emulator.endpoint}" in _read(emulator.log):
                    return True
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.05)
    return False


def _end(emulator: Emulator) -> None:
    """End it and wait until all that it started is gone."""
    _end_group(emulator.pid)
    for lock in (emulator.folder / "emulator.lock", emulator.glue_logs / RUNS_LOCK):
        _await_release(lock)


def _end_group(leader: int) -> None:
    """Kill the launcher's process group: itself and the functions. Job runs notice, and end themselves."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _await_release(lock: Path) -> None:
    deadline = time.monotonic() + _STOP_SECONDS
    while lock.exists():
        free = hold(lock)
        if free is not None:
            free.close()
            return
        if time.monotonic() > deadline:
            raise EmulatorError(f"a process of the local cloud still holds {lock}")
        time.sleep(0.02)


def _clean(folder: Path) -> None:
    """Remove what an emulator leaves; it lives in memory, so nothing of it is of use to the next one."""
    (folder / "emulator.json").unlink(missing_ok=True)
    for name in ("tmp", "s3", "ministack", "lambda"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _read_state(folder: Path) -> Emulator | None:
    try:
        state = json.loads((folder / "emulator.json").read_text())
    except FileNotFoundError:  # a start that was cut off before it wrote; the lock goes with that process
        return None
    return Emulator(str(folder.parent), int(state["pid"]), int(state["port"]))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(_read(log).splitlines()[-lines:])


def _read(log: Path) -> str:
    return log.read_text(errors="replace")
