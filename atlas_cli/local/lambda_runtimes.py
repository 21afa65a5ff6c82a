"""The Lambda runtimes: what a function finds around it.

ministack starts a function with the emulator's own Python, environment and packages. AWS's runtime has boto3,
and nothing else that the function did not bring; so a package that a layer forgot must be missed here too.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shlex
import sys
import threading
import zipfile
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from atlas_cli import cdk

_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six")
# "botocore.exceptions.ClientError: An error ..." at the end of a traceback
_EXCEPTION = re.compile(r"^(?:\w+\.)*(\w+)(?::|$)")
# How ministack's Python runtime tells that the function has raised, and how it tells it here.
_RAISED_KEY = "atlas-raised"
_RAISED = (
    '{"status": "error", "error": str(e), "trace": traceback.format_exc()}',
    '{"status": "ok", "result": {"errorType": type(e).__name__, "errorMessage": str(e), '
    f'"{_RAISED_KEY}": traceback.format_exc()}}}}',
)
# AWS's Node runtime has the AWS SDK. CDK's auto-delete function, which `cdk deploy` starts as a custom resource,
# imports it, and calls it only when a bucket is deleted; here everything goes at once, with the emulator.
_NODE_S3 = """// Stands in for the AWS SDK that Lambda's Node runtime brings; every call answers with nothing.
const nothing = { get: (_target, name) => (name === "then" ? undefined : async () => ({})) };
class S3 { constructor() { return new Proxy(this, nothing); } }
module.exports = { S3, S3Client: S3 };
"""


def install(folder: Path, private: Iterable[str]) -> None:
    """Replace what ministack starts functions with, by wrappers made in `folder`.

    `private` are the emulator's own environment variables, which functions are not to see.
    """
    own = {"node": _node(folder, private), sys.executable: _python(folder, private)}
    detect = lambda_runtime._detect_runtime_binary

    def detect_runtime_binary(runtime: str) -> tuple[str, str]:
        binary, worker = detect(runtime)
        return str(own.get(binary, binary)), worker.replace(*_RAISED)

    lambda_runtime._detect_runtime_binary = detect_runtime_binary
    _unpack_once(folder / "unpacked")
    _name_errors()


def error_type(log: str) -> str | None:
    """The class of the exception that ended a Python function, from its traceback: `ValueError`."""
    lines = [line for line in log.splitlines() if line and not line[0].isspace()]
    start = max((n for n, line in enumerate(lines) if line.startswith("Traceback (most")), default=None)
    if start is None or start + 1 >= len(lines):
        return None
    found = _EXCEPTION.match(lines[start + 1])
    return found.group(1) if found else None


def _unpack_once(folder: Path) -> None:
    """The processes of a function share its code and layers, which ministack unpacks for each of them."""
    turn = threading.Lock()

    class ZipFile(zipfile.ZipFile):
        def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
            packed = Path(str(self.filename)).read_bytes()
            kept = folder / hashlib.sha256(packed).hexdigest()
            with turn:
                if not kept.exists():
                    begun = kept.with_suffix(".part")
                    begun.mkdir(parents=True)
                    super().extractall(begun, members, pwd)
                    begun.rename(kept)
            target = Path(path)
            target.rmdir()
            target.symlink_to(kept)

    lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": ZipFile})


def _name_errors() -> None:
    """AWS's `errorType` is the exception's class, which Step Functions can catch; ministack has one for all.

    And `Runtime.ExitError`, if the function's process has ended, by itself or because it was killed. A process
    whose function has raised goes on, as on AWS; ministack ends it, which costs the next call a cold start.
    """
    execute = lambda_svc._execute_function_warm

    def execute_function_warm(func: dict[str, Any], event: Any, request_id: str) -> Any:
        result = execute(func, event, request_id)
        body = result.get("body")
        if isinstance(body, dict) and _RAISED_KEY in body:
            told = {"errorMessage": body["errorMessage"], "errorType": body["errorType"]}
            return {"body": told, "error": True, "log": f"{result.get('log', '')}\n{body[_RAISED_KEY]}"}
        if result.get("error") and isinstance(body, dict) and body.get("errorType") == "Runtime.HandlerError":
            died = body["errorMessage"] == "Worker process died"
            named = "Runtime.ExitError" if died else error_type(result.get("log", ""))
            body["errorType"] = named or body["errorType"]
        return result

    lambda_svc._execute_function_warm = execute_function_warm


def _python(folder: Path, private: Iterable[str]) -> Path:
    packages = folder / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise SystemExit(f"{name} is not installed; run `make setup`")
        source = Path(spec.origin)
        source = source.parent if source.name == "__init__.py" else source
        link = packages / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    # -S: without this virtual environment's packages.
    command = [sys.executable, "-S"]
    return _wrapper(folder / "python", command, {"PYTHONPATH": str(packages)}, private)


def _node(folder: Path, private: Iterable[str]) -> Path:
    module = folder / "node_modules" / "@aws-sdk" / "client-s3"
    module.mkdir(parents=True, exist_ok=True)
    (module / "index.js").write_text(_NODE_S3)
    command = [str(cdk.node_bin() / "node")]  # from PyPI, as a machine may have none
    return _wrapper(folder / "node", command, {"NODE_PATH": str(folder / "node_modules")}, private)


def _wrapper(path: Path, command: list[str], variables: dict[str, str], private: Iterable[str]) -> Path:
    """A script that starts `command` with its arguments; ministack has room for one word only."""
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    forget = f"unset {' '.join(sorted(private))}"
    path.write_text(f'#!/bin/sh\n{forget}\n{settings} exec {shlex.join(command)} "$@"\n')
    path.chmod(0o755)
    return path
