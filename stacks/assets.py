"""What is uploaded: our packages, and nothing else of the repository."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from aws_cdk import IgnoreMode

ROOT = Path(__file__).resolve().parent.parent


class Selection(TypedDict):
    """The options of an asset that choose its files."""

    exclude: list[str]
    ignore_mode: IgnoreMode


def only(*packages: str) -> Selection:
    """Options of a directory asset of the repository that holds just these packages.

    Compiled files are left out: they carry times, and an asset's hash must depend on the source alone. So is the
    page, which goes up built, in a layer: stacks/page.
    """
    kept = [f"!/{package}" for package in packages]
    left_out = ["__pycache__", "*.py[cod]", "/lambda_query/page"]
    return {"exclude": ["/*", *kept, *left_out], "ignore_mode": IgnoreMode.GIT}
