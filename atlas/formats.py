"""A log format is data: one TOML file in atlas/formats/. This module loads them.

What a file may say is in docs/formats.md; atlas/format_file.py reads and checks it, atlas/log_format.py is what
comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

from atlas.format_file import parse_format
from atlas.log_format import MAPPED_COLUMNS, Delimited, LogFormat, Source, value_at
from atlas.toml_table import FormatError

__all__ = [
    "MAPPED_COLUMNS",
    "Delimited",
    "FormatError",
    "LogFormat",
    "Source",
    "load_formats",
    "parse_format",
    "value_at",
]


@cache
def load_formats() -> Mapping[str, LogFormat]:
    """Every shipped format by name, in alphabetical order. Raises FormatError."""
    folder = resources.files("atlas") / "formats"
    texts = {
        file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".toml")
    }
    return {name: parse_format(name, text, texts) for name, text in texts.items()}
