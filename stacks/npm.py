"""Installs the npm packages of a lock file, once for each lock, with the npm that came from PyPI.

`python -m stacks.npm FOLDER...` renews the lock files beside these folders' package.json: `make lock`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from atlas_cli import cdk

CACHE = Path(__file__).resolve().parents[1] / ".atlas" / "npm"

_OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
"""No package's own script runs: none of ours needs one, and one of them (scarf, of swagger-ui-dist) calls home."""


class PackagesError(RuntimeError):
    """The packages could not be installed; the message says what to do."""


def install(project: Path, cache: Path = CACHE) -> Path:
    """The `node_modules` of a folder with package.json and package-lock.json; installed if it is not there yet.

    Raises PackagesError.
    """
    files = [project / "package.json", project / "package-lock.json"]
    key = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    ready = cache / key
    if not ready.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="installing-") as folder:
            building = Path(folder) / "project"
            building.mkdir()
            for file in files:
                shutil.copy(file, building)
            _npm_ci(building, project)
            put_in_place(building, ready)
    return ready / "node_modules"


def lock(project: Path) -> None:
    """Renews a folder's package-lock.json, without the registry's addresses. Raises CalledProcessError."""
    command = cdk.npm("install", "--package-lock-only", "--omit-lockfile-registry-resolved", *_OPTIONS)
    subprocess.run(command, cwd=project, env=cdk.environment(os.environ), check=True)  # noqa: S603 - our own words


def put_in_place(building: Path, ready: Path) -> None:
    """In one step: whoever is killed half-way leaves nothing that looks ready."""
    try:
        os.rename(building, ready)  # noqa: PTH104 - Path.rename reads no better
    except OSError:
        if not ready.is_dir():  # else another one was quicker, with the same content
            raise


def _npm_ci(building: Path, project: Path) -> None:
    try:
        subprocess.run(  # noqa: S603 - our own words
            cdk.npm("ci", *_OPTIONS),
            cwd=building,
            env=cdk.environment(os.environ),
            check=True,
            capture_output=True,
            text=True,
        )
    except subprocess.CalledProcessError as failed:
        raise PackagesError(
            f"the npm packages of {project.name}/package-lock.json could not be installed. Without a network, do "
            f"this once with one; if the lock does not fit package.json, run make lock. npm says:\n"
            f"{failed.stderr.strip()}"
        ) from failed


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        lock(Path(folder))
