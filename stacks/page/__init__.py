"""Builds the page from lambda_query/page and what comes from npm, once for each content.

Our modules, and what they use of the chart library, become one file: on AWS each file that a browser asks for is an
invocation. What is built is a Lambda layer, so that a page's megabytes are not in every version of the function's
code; and `atlas serve` serves the same folder. In it:

    index.html  docs.html     the page, and the API's reference
    <version>/                everything else, under a name that changes with any byte of it: browsers keep it
    <file>.gz                 beside every text file: what is sent to a browser that takes it
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from atlas_cli import cdk
from stacks.npm import PackagesError, install, put_in_place

PROJECT = Path(__file__).parent
SOURCES = Path(__file__).resolve().parents[2] / "lambda_query" / "page"
CACHE = Path(__file__).resolve().parents[2] / ".atlas" / "pages"
PACKAGE = Path("python") / "atlas_page"
"""Where the files are in the layer: a Python package, so that the function finds them by importing it."""

THIRD_PARTY = {
    "echarts.LICENSE.txt": "echarts/LICENSE",
    "echarts.NOTICE.txt": "echarts/NOTICE",
    "swagger-ui.js": "swagger-ui-dist/swagger-ui-bundle.js",
    "swagger-ui.js.LICENSE.txt": "swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt",
    "swagger-ui.css": "swagger-ui-dist/swagger-ui.css",
    "swagger-ui.LICENSE.txt": "swagger-ui-dist/LICENSE",
    "swagger-ui.NOTICE.txt": "swagger-ui-dist/NOTICE",
}
"""Our name of each file that the page has from npm, and its path there."""

_ENTRIES = ("main.js", "docs.js")
"""The modules that a page names; they become one file each, with all that they import."""
_LOCAL = re.compile(r'\b(href|src)="page/')
_SOURCE_MAP = re.compile(rb"\n/[/*]# sourceMappingURL=[^*\s]+(?:\*/)?\s*$")
"""A browser's tools would ask for a file that is not there."""
_LEAST_TO_PACK = 1024


def build(cache: Path = CACHE) -> Path:
    """The layer's folder; built if it is not there yet. Raises PackagesError, of a module that is wrong too."""
    key = hashlib.sha256()
    for file in [Path(__file__), *sorted(PROJECT.glob("package*.json")), *_sources()]:
        key.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    ready = cache / key.hexdigest()[:16]
    if not ready.is_dir():
        modules = install(PROJECT)
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as folder:
            building = Path(folder) / "layer"
            _fill(building / PACKAGE, modules)
            put_in_place(building, ready)
    return ready


def folder(cache: Path = CACHE) -> Path:
    """The page's own folder, in the layer's; built if it is not there yet. Raises PackagesError."""
    return build(cache) / PACKAGE


def _sources() -> list[Path]:
    return sorted(file for file in SOURCES.iterdir() if file.is_file())


def _fill(package: Path, modules: Path) -> None:
    assets = package / "assets"
    assets.mkdir(parents=True)
    for file in _sources():
        if file.suffix != ".js":
            shutil.copyfile(file, (package if file.suffix == ".html" else assets) / file.name)
    _bundle(assets, modules)
    for name, path in THIRD_PARTY.items():
        (assets / name).write_bytes(_SOURCE_MAP.sub(b"\n", (modules / path).read_bytes()))
    version = _version(assets)
    assets.rename(package / version)
    for page in package.glob("*.html"):
        page.write_text(_LOCAL.sub(rf'\1="page/{version}/', page.read_text(encoding="utf-8")), encoding="utf-8")
    for file in sorted(package.rglob("*")):
        if file.is_file() and file.stat().st_size >= _LEAST_TO_PACK:
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))
    (package / "__init__.py").write_text('"""The page, as stacks.page has built it."""\n', encoding="utf-8")


def _bundle(assets: Path, modules: Path) -> None:
    command = [str(cdk.node_bin() / "node"), str(modules / "esbuild" / "bin" / "esbuild"), *_ENTRIES]
    command += ["--bundle", "--minify", "--format=esm", "--target=es2022", "--log-level=warning"]
    command += [f"--outdir={assets}"]
    found = {**os.environ, "NODE_PATH": str(modules)}
    try:
        subprocess.run(command, cwd=SOURCES, env=found, check=True, capture_output=True, text=True)  # noqa: S603
    except subprocess.CalledProcessError as failed:
        raise PackagesError(f"the page's modules do not fit together. esbuild says:\n{failed.stderr}") from failed


def _version(assets: Path) -> str:
    content = hashlib.sha256()
    for file in sorted(assets.iterdir()):
        content.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return content.hexdigest()[:12]
