"""The processes of the local cloud that run deployed code, found by their command lines; and their sudden end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from atlas_cli.local.emulator import Emulator


def kill(running: Emulator, name: str) -> None:
    """SIGKILL for the processes of a function or a job, by its name, as Lambda's or Glue's machine may die."""
    folder = str(running.folder)
    found = [pid for pid, command in _commands() if folder in command and name in command]
    assert found, f"no process of {name}"
    for pid in found:
        try:
            if os.getpgid(pid) == pid:  # a job's run: it leads a group of its own, of which Java is one
                os.killpg(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # it went with its group
            continue


def _commands() -> Iterator[tuple[int, str]]:
    """Each process's id and command line, on Linux from /proc (a small image may lack `ps`), elsewhere by `ps`."""
    if Path("/proc/self/cmdline").exists():
        for process in Path("/proc").glob("[0-9]*"):
            try:
                yield int(process.name), (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has just ended
                continue
        return
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=", "-o", "command="], capture_output=True, text=True, check=True
    )
    for line in listed.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        yield int(pid), command
