"""What is built of the page: whole, of its own origin only, and another folder's name for any other content."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from stacks import page
from stacks.npm import PackagesError, install
from tests import browser


@pytest.fixture(scope="module")
def built() -> Path:
    return page.folder()


def _version(folder: Path) -> str:
    [version] = [entry.name for entry in folder.iterdir() if entry.is_dir()]
    return version


def _references(html: Path) -> list[str]:
    return re.findall(r'(?:href|src)="(page/[^"]+)"', html.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["index.html", "docs.html"])
def test_every_file_that_a_page_names_is_there_under_the_version(built: Path, name: str) -> None:
    references = _references(built / name)
    assert references
    assert {reference.split("/")[1] for reference in references} == {_version(built)}
    assert [ref for ref in references if not (built / ref.removeprefix("page/")).is_file()] == []


def test_the_page_is_three_files(built: Path) -> None:
    """And its icon. Each of them is an invocation of the function."""
    assert sorted(Path(reference).name for reference in _references(built / "index.html")) == [
        "icon.svg",
        "main.js",
        "page.css",
    ]
    assert not (built / _version(built) / "main.js").read_text(encoding="utf-8").startswith("import")


def test_the_page_needs_no_other_origin_and_no_inline_code() -> None:
    ours = {file.name: file.read_text(encoding="utf-8") for file in page.SOURCES.iterdir()}
    addresses = {name: re.findall(r"https?://(?!www\.w3\.org/2000/svg)\S+", text) for name, text in ours.items()}
    assert {name: found for name, found in addresses.items() if found} == {}
    for name in ("index.html", "docs.html"):
        assert re.findall(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", ours[name]) == []


def test_packed_files_hold_the_same(built: Path) -> None:
    packed = list(built.rglob("*.gz"))
    assert {"index.html.gz", "main.js.gz", "swagger-ui.js.gz"} <= {file.name for file in packed}
    for file in packed:
        assert gzip.decompress(file.read_bytes()) == file.with_suffix("").read_bytes()


def test_another_content_has_another_version_and_the_same_has_the_same(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = page.folder(tmp_path / "again")
    assert {file.relative_to(again): file.read_bytes() for file in again.rglob("*") if file.is_file()} == {
        file.relative_to(built): file.read_bytes() for file in built.rglob("*") if file.is_file()
    }
    sources = tmp_path / "page"
    sources.mkdir()
    for file in page.SOURCES.iterdir():
        (sources / file.name).write_bytes(file.read_bytes())
    with (sources / "page.css").open("a") as css:
        css.write("\n")
    monkeypatch.setattr(page, "SOURCES", sources)
    assert _version(page.folder(tmp_path / "other")) != _version(built)


def test_a_lock_that_does_not_fit_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "package.json").write_text(json.dumps({"dependencies": {"echarts": "6.1.0"}}))
    (project / "package-lock.json").write_text(json.dumps({"lockfileVersion": 3, "packages": {"": {}}}))
    with pytest.raises(PackagesError, match="project/package-lock.json could not be installed.*make lock"):
        install(project, tmp_path / "npm")
    assert list((tmp_path / "npm").iterdir()) == []


@pytest.mark.parametrize("project", [page.PROJECT, browser.PROJECT], ids=["page", "tests"])
def test_a_lock_names_no_registry_and_a_hash_of_everything(project: Path) -> None:
    packages = json.loads((project / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [path for path, package in packages.items() if "resolved" in package] == []
    assert [path for path, package in packages.items() if path and "integrity" not in package] == []
