"""`python -m tests.browser.pictures`: docs/images/page-*.png, of what `atlas demo --keep` leaves running."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from atlas_cli.cloud import LOCAL, connect
from atlas_cli.project import ROOT, SAMPLE
from atlas_cli.serve import serving
from stacks import page as built
from tests import browser as chromium

IMAGES = ROOT / "docs" / "images"
WIDE, PHONE = {"width": 1280, "height": 1150}, {"width": 390, "height": 844}


def take(browser: Browser, address: str, file: Path, *, opened: bool = False, **options: Any) -> None:
    """One picture of the page at an address."""
    context = browser.new_context(**{"viewport": WIDE, "timezone_id": "UTC", "reduced_motion": "reduce", **options})
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#told")).to_contain_text("Shown:")
    expect(page.locator(".chart svg")).to_have_count(3)
    if opened:
        page.locator("button.day").first.click()
        expect(page.locator(".refusals li").first).to_be_visible()
    page.mouse.move(0, 0)
    page.screenshot(path=file)
    context.close()
    print(f"{file.relative_to(ROOT)}  {file.stat().st_size:,} bytes")


def main() -> None:
    """Takes them all, of the sample's days."""
    first, *_, last = sorted(json.loads((SAMPLE / "expected.json").read_text(encoding="utf-8"))["days"])
    IMAGES.mkdir(exist_ok=True)
    with serving(connect(LOCAL), built.folder()) as served, chromium.running() as browser:
        address = f"{served.url}/?from={first}&to={last}#token={served.token}"
        take(browser, address, IMAGES / "page-light.png")
        take(browser, address, IMAGES / "page-dark.png", color_scheme="dark")
        take(browser, address, IMAGES / "page-phone.png", viewport=PHONE)
        take(browser, address, IMAGES / "page-refused.png", opened=True, viewport={**WIDE, "height": 900})


if __name__ == "__main__":
    main()
