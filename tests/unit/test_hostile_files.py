"""Files that are made to exhaust a reader get their verdict within bounded memory and time, whatever their size."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.hostile_files import FILES

SECONDS, RESIDENT_MIB = 40, 256
"""Seconds of a processor: the longest, 256 MiB of good lines, has taken 25 on a busy machine.
A reader that goes on where it has to stop, or looks at a long record again and again, takes minutes."""


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_gets_its_verdict_in_bounded_memory_and_time(name: str) -> None:
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.hostile_files", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["verdict"] in FILES[name][1].split("|"), told
    assert told["seconds"] <= SECONDS, told
    assert told["resident_mib"] <= RESIDENT_MIB, told
