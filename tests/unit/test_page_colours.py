"""The page's colours can be read, and told apart by eyes that lack one kind of cone: by what page.css says."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from stacks.page import SOURCES

Colour = tuple[float, float, float]
"""Linear red, green and blue of 0 to 1."""

TEXT = ("text", "quiet", "link", "ok", "wrong")
GRAPHICS = ("published", "duplicates", "rejected", "requests", "errors", "logins-logs", "logins-events", "field")
STATUSES = ("status-2xx", "status-3xx", "status-1xx", "status-none", "status-4xx", "status-5xx")
STACKED = (
    ("published", "duplicates", "rejected"),
    STATUSES,
    ("logins-logs", "logins-events"),
    ("requests", "errors"),
)

EYES = {
    "usual": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.01182, 0.04294, 0.968881),
    ),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
"""What is left of the colours: Machado, Oliveira and Fernandes, 2009, severity 1."""
LEAST_DIFFERENCE = 15.0
"""Of CIE 1976: 2.3 can just be noticed side by side."""


def _schemes() -> dict[str, dict[str, str]]:
    css = (SOURCES / "page.css").read_text(encoding="utf-8")
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.S)
    )
    assert light.keys() == dark.keys()
    return {"light": light, "dark": dark}


SCHEMES = _schemes()
scheme = pytest.mark.parametrize("colours", SCHEMES.values(), ids=SCHEMES)


def _linear(text: str) -> Colour:
    red, green, blue = (int(text[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return tuple(
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)
    )  # type: ignore[return-value]


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    darker, lighter = sorted(
        sum(w * part for w, part in zip((0.2126, 0.7152, 0.0722), _linear(colour), strict=True))
        for colour in (one, other)
    )
    return (lighter + 0.05) / (darker + 0.05)


def _lab(colour: Colour) -> Colour:
    red, green, blue = (min(max(part, 0.0), 1.0) for part in colour)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def _difference(one: str, other: str, eyes: str) -> float:
    seen = []
    for text in (one, other):
        colour = _linear(text)
        red, green, blue = (sum(w * part for w, part in zip(row, colour, strict=True)) for row in EYES[eyes])
        seen.append(_lab((red, green, blue)))
    return float(sum((a - b) ** 2 for a, b in zip(*seen, strict=True)) ** 0.5)


@scheme
@pytest.mark.parametrize("ground", ["ground", "card", "wrong-ground"])
def test_text_can_be_read_on_every_ground(colours: dict[str, str], ground: str) -> None:
    on_coloured = ("text", "wrong") if ground == "wrong-ground" else TEXT
    ratios = {name: _contrast(colours[name], colours[ground]) for name in on_coloured}
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


@scheme
def test_a_button_can_be_read(colours: dict[str, str]) -> None:
    assert _contrast(colours["on-primary"], colours["primary"]) >= 4.5


@scheme
def test_what_is_drawn_stands_out_from_its_card(colours: dict[str, str]) -> None:
    ratios = {name: _contrast(colours[name], colours["card"]) for name in (*GRAPHICS, *STATUSES)}
    assert {name: ratio for name, ratio in ratios.items() if ratio < 3} == {}


@scheme
@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("series", STACKED, ids=lambda series: series[0])
def test_no_two_parts_of_a_chart_look_alike(colours: dict[str, str], series: tuple[str, ...], eyes: str) -> None:
    pairs = {
        (one, other): _difference(colours[one], colours[other], eyes) for one, other in combinations(series, 2)
    }
    assert {pair: round(apart, 1) for pair, apart in pairs.items() if apart < LEAST_DIFFERENCE} == {}
