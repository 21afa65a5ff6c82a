"""What `make audit` makes of the answers that it gets, and of none: npm and zizmor are the real ones."""

from __future__ import annotations

import gzip
import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from atlas_cli import audit
from atlas_cli.audit import Audit, audit_lock, audit_npm, audit_workflows, npm_packages, tell

PACKAGES = {("aws-cdk", "2.0.0"), ("minimist", "0.0.8"), ("minimist", "1.2.8")}
FAULT = {
    "id": 1179,
    "url": "https://example.com/advisory",
    "title": "Prototype Pollution",
    "severity": "critical",
    "vulnerable_versions": "<1.2.6",
    "cwe": [],
    "cvss": {"score": 9.8, "vectorString": None},
}


@contextmanager
def _npm_service(patch: pytest.MonkeyPatch, status: int, advisories: Any) -> Iterator[list[Any]]:
    """A registry that answers npm's question; what it was asked."""
    asked: list[Any] = []

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(json.loads(gzip.decompress(sent) if self.headers["Content-Encoding"] == "gzip" else sent))
            self._answer(status, json.dumps(advisories).encode())

        def do_GET(self) -> None:
            self._answer(404, b"{}")

        def _answer(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    patch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
    try:
        yield asked
    finally:
        server.shutdown()


def test_npm_is_asked_about_every_version_of_every_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with _npm_service(monkeypatch, 200, {}) as asked:
        told = audit_npm(PACKAGES)
    assert [{name: sorted(versions) for name, versions in each.items()} for each in asked] == [
        {"aws-cdk": ["2.0.0"], "minimist": ["0.0.8", "1.2.8"]}
    ]
    assert (told.looked_up, told.found, told.unknown) == (3, [], [])


def test_what_npm_knows_of_is_found_and_what_it_cannot_say_is_not_taken_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with _npm_service(monkeypatch, 200, {"minimist": [FAULT]}):
        [found] = audit_npm(PACKAGES).found
    assert found.startswith("minimist 0.0.8")
    assert found.endswith("critical: Prototype Pollution (https://example.com/advisory)")
    with _npm_service(monkeypatch, 405, {}):
        told = audit_npm(PACKAGES)
    assert (told.looked_up, told.found) == (0, [])
    assert "405" in told.unknown[0]


def test_everything_that_the_cdk_and_the_page_bring_along_is_audited() -> None:
    names = {name for name, _ in npm_packages()}
    assert {"aws-cdk", "aws-cdk-lib", "constructs", "cdk-nag"} <= names
    assert {"semver", "minimatch"} <= names  # bundled in aws-cdk-lib
    assert {name for name in names if name.startswith("@aws-sdk/")}  # bundled in the CLI
    assert {"echarts", "zrender", "swagger-ui-dist"} <= names  # of the page
    assert {"axe-core", "@sparticuz/chromium"} <= names  # of its tests


def _pip_audit(answer: Any, seen: list[str]) -> audit.Run:
    def run(command: Sequence[str], _: Path) -> subprocess.CompletedProcess[str]:
        seen.append(Path(command[-1]).read_text())
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return subprocess.CompletedProcess(command, 1, text, "pip_audit: no route to host\n")

    return run


@pytest.mark.parametrize("lock", audit.LOCKS, ids=lambda lock: lock.stem)
def test_every_package_of_a_lock_is_asked_about_whatever_this_machine_is(lock: Path) -> None:
    seen: list[str] = []
    audit_lock(lock, _pip_audit({"dependencies": []}, seen))
    asked = [line for line in seen[0].splitlines() if "==" in line]
    assert len(asked) == sum("==" in line for line in lock.read_text().splitlines()) > 0
    assert not [line for line in asked if ";" in line]
    assert seen[0].count("--hash=") == lock.read_text().count("--hash=")


def test_python_packages_are_faultless_faulty_or_unknown() -> None:
    answer = {
        "dependencies": [
            {"name": "orjson", "version": "3.0", "vulns": []},
            {"name": "duckdb", "version": "2.0", "vulns": [
                {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.1"]},
                {"id": "PYSEC-2", "aliases": [], "fix_versions": []},
            ]},
            {"name": "isal", "skip_reason": "Dependency not found on PyPI and could not be audited: isal (1.9)"},
        ]
    }  # fmt: skip
    told = audit_lock(audit.LOCKS[-1], _pip_audit(answer, []))
    assert told.looked_up == 2
    assert told.found == [
        "duckdb 2.0: PYSEC-1, CVE-1; mended in 2.1",
        "duckdb 2.0: PYSEC-2; mended in no version yet",
    ]
    assert told.unknown == ["Dependency not found on PyPI and could not be audited: isal (1.9)"]
    assert audit_lock(audit.LOCKS[-1], _pip_audit("", [])).unknown == ["pip-audit: pip_audit: no route to host"]


def test_the_workflows_have_no_faults_and_one_that_has_is_found(tmp_path: Path) -> None:
    told = audit_workflows()
    assert (told.looked_up, told.found, told.unknown) == (2, [], [])
    (tmp_path / "bad.yml").write_text(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - uses: actions/checkout@v6\n"
    )
    found = audit_workflows(tmp_path).found
    assert [line for line in found if "unpinned-uses" in line]
    assert [line for line in found if "bad.yml:6" in line]
    (tmp_path / "bad.yml").unlink()
    assert audit_workflows(tmp_path).unknown  # nothing to look at is not the same as nothing found


@pytest.mark.parametrize(
    ("audits", "status", "said"),
    [
        ([Audit("npm", 3), Audit("a.lock", 1)], 0, "npm: 3 looked up, 0 found"),
        ([Audit("npm", 3, found=["x 1: bad"]), Audit("a.lock", unknown=["y"])], 1, "  x 1: bad"),
        ([Audit("npm", 3), Audit("a.lock", unknown=["y", "z"])], 2, "  2 NOT looked up, the first: y"),
        ([Audit("a.lock", unknown=["y"])], 2, "the audit is not done"),
    ],
)
def test_the_exit_status_says_whether_all_was_looked_up_and_nothing_found(
    audits: list[Audit], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tell(audits) == status
    assert said in capsys.readouterr().out
