"""docs/runbook.md as tests read it: its sections, and the commands in its code blocks."""

from __future__ import annotations

import re
import shlex
from functools import cache

from atlas_cli.project import ROOT

PAGE = ROOT / "docs" / "runbook.md"


@cache
def text() -> str:
    """The page."""
    return PAGE.read_text(encoding="utf-8")


def sections() -> dict[str, str]:
    """The text of each section by its anchor, as GitHub makes it of the heading; of a chapter, its opening."""
    _, *parts = re.split(r"^#{1,2} (.+)\n", text(), flags=re.MULTILINE)
    return {anchor(heading): body for heading, body in zip(parts[::2], parts[1::2], strict=True)}


def anchor(heading: str) -> str:
    """A heading's anchor: https://docs.github.com/en/get-started/writing-on-github (section links)."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def commands(program: str) -> list[list[str]]:
    """The arguments of each call of a program in the page's code blocks, in order, each call once."""
    blocks = re.findall(r"^```\n(.*?)^```", text(), flags=re.MULTILINE | re.DOTALL)
    lines = dict.fromkeys(line for block in blocks for line in block.splitlines())
    return [shlex.split(line)[1:] for line in lines if line.split()[0] == program]
