"""Builds a Lambda layer's content from its lock file, without Docker, once for each content."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

INGESTION = Path(__file__).with_name("ingestion.lock")
DAY = Path(__file__).with_name("day.lock")
EVENTS = Path(__file__).with_name("events.lock")
QUERIES = Path(__file__).with_name("queries.lock")
CACHE = Path(__file__).resolve().parents[2] / ".atlas" / "layers"
LAMBDA_PYTHON = "3.13"
LAMBDA_PLATFORM = "manylinux_2_28"
"""Lambda's Amazon Linux 2023 has glibc 2.34, and DuckDB's wheels for arm64 want 2.28 at least."""

_NOTES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
"""What an installer writes for itself: times, and hashes of scripts that name this machine's Python. A layer's hash
must follow from its lock alone, and nothing reads them in Lambda."""


class LayerError(RuntimeError):
    """The layer's packages could not be installed; the message says what to do."""


@dataclass(frozen=True)
class Target:
    """The machine and the Python that the layer's wheels must fit."""

    machine: str
    python: str
    foreign: bool
    """Whether that is another platform than this one."""

    @classmethod
    def of(cls, architecture: str) -> Target:
        """The target of a stage's architecture: `arm64`, `x86_64` or `host`."""
        if architecture == "host":
            return cls(platform.machine(), platform.python_version(), foreign=False)
        return cls({"arm64": "aarch64"}.get(architecture, architecture), LAMBDA_PYTHON, foreign=True)

    @property
    def options(self) -> list[str]:
        """What makes uv choose wheels of the target."""
        if not self.foreign:
            return []
        return ["--python-platform", f"{self.machine}-{LAMBDA_PLATFORM}", "--python-version", self.python]


def build(lock: Path, architecture: str, cache: Path = CACHE) -> Path:
    """The folder that holds a lock file's packages for an architecture; installed if it is not there yet.

    Raises LayerError.
    """
    target = Target.of(architecture)
    key = hashlib.sha256(lock.read_bytes() + f"{target} {sys.platform if not target.foreign else 'linux'}".encode())
    key.update(Path(__file__).read_bytes())  # built in another way, it is another layer
    ready = cache / key.hexdigest()[:16]
    if ready.is_dir():
        return ready
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as building:
        _install(lock, target, Path(building) / "layer" / "python")
        try:
            # In one step: whoever is killed half-way leaves nothing that looks like a layer.
            os.rename(Path(building) / "layer", ready)  # noqa: PTH104 - Path.rename reads no better
        except OSError:
            if not ready.is_dir():  # else another synth was quicker, with the same content
                raise
    return ready


def _install(lock: Path, target: Target, folder: Path) -> None:
    wanted = ["--only-binary", ":all:", "--require-hashes", "--requirement", str(lock)]
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
    command += ["--target", str(folder), "--link-mode", "copy", *target.options, *wanted]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own words
    except subprocess.CalledProcessError as failed:
        raise LayerError(
            f"the Lambda layer for {target.machine}, Python {target.python}, could not be installed from "
            f"stacks/layer/{lock.name}. If uv is missing, run make setup; if a package has no wheel for that "
            f"platform, choose another version in stacks/layer/{lock.stem}.in and run make lock; without a "
            f"network, synthesize once with one. uv says:\n{failed.stderr.strip()}"
        ) from failed
    shutil.rmtree(folder / "bin", ignore_errors=True)  # scripts that name this machine's Python
    (folder / ".lock").unlink(missing_ok=True)
    for note in (note for name in _NOTES for note in folder.glob(f"*.dist-info/{name}")):
        note.unlink()
