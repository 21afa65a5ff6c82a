"""The page in a browser, over the deployed stage with both sample days: what it shows, and what instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from atlas_cli.cloud import Cloud
from atlas_cli.serve import Served, serving
from stacks import page as built
from stacks.npm import install
from tests import browser as chromium
from tests.e2e.asking import register
from tests.e2e.conftest import Sample

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 320, "height": 700}
SERIOUS = ("serious", "critical")


@dataclass
class Shown:
    """A page in the browser: what it complained of, and what it asked for."""

    page: Page
    served: Served
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, query: str = "", token: str | None = None) -> Page:
        """The page as whoever follows a link sees it, once everything is there that will be."""
        self.page.goto(f"{self.served.url}/{query}#token={token or self.served.token}")
        expect(self.page.locator("#told")).to_contain_text("Shown:")
        return self.page

    def api(self, path: str) -> Any:
        """What the API answers a program."""
        answer = self.page.request.get(
            f"{self.served.url}/{path}", headers={"Authorization": f"Bearer {self.served.token}"}
        )
        assert answer.ok, answer.text()
        return answer.json()


@pytest.fixture(scope="module")
def served(cloud: Cloud, sample: Sample) -> Iterator[Served]:  # noqa: ARG001 - the days are there
    with serving(cloud, built.folder()) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.running() as browser:
        yield browser


@pytest.fixture
def show(browser: Browser, served: Served, sample: Sample) -> Iterator[Callable[..., Shown]]:
    contexts = []

    def as_of_the_sample(route: Route) -> None:
        """Other tests of the stage publish later days."""
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "last_published": sample.days[-1], "days_behind": 3})

    def show(**options: Any) -> Shown:
        context = browser.new_context(**{"viewport": WIDE, "locale": "en-GB", **options})
        contexts.append(context)
        shown = Shown(context.new_page(), served)
        shown.page.on("console", lambda said: shown.complaints.append(said.text) if said.type == "error" else None)
        shown.page.on("pageerror", lambda fault: shown.complaints.append(str(fault)))
        shown.page.on("request", lambda request: shown.asked.append(request.url))
        shown.page.route(f"{served.url}/freshness", as_of_the_sample)
        return shown

    yield show
    for context in contexts:
        context.close()


def tiles(page: Page) -> dict[str, str]:
    return {
        tile.locator("dt").inner_text(): tile.locator("dd").first.inner_text()
        for tile in page.locator("#tiles > div").all()
    }


def table(page: Page, caption: str) -> list[list[str]]:
    """The cells of a table's body."""
    rows = page.locator("table", has=page.locator("caption", has_text=caption)).locator("tbody tr")
    return rows.evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.textContent))")  # type: ignore[no-any-return]


def open_all(page: Page) -> None:
    """The numbers of every chart."""
    for summary in page.locator("summary:visible").all():
        summary.click()


def test_it_shows_the_numbers_that_the_api_answers_and_the_generator_says(
    show: Callable[..., Shown], sample: Sample
) -> None:
    shown = show(timezone_id="Asia/Kolkata")
    page = shown.open()
    first, last = sample.days
    span = f"from={first}&to={last}"
    truth = [sample.truth["days"][day]["daily_activity"] for day in sample.days]
    total = {name: sum(day[name] for day in truth) for name in ("total_requests", "total_errors")}
    books = shown.api(f"books?{span}")["items"]

    # The usual days begin where there is something to see.
    assert [page.locator(f"#{name}").input_value() for name in ("from", "to")] == [first, last]
    assert page.locator("#freshness").inner_text().startswith("Published up to Sat, 30 Nov 2024, 3 days behind")
    assert tiles(page)["Requests"] == f"{total['total_requests']:,}"
    assert tiles(page)["Errors"] == f"{total['total_errors']:,}"
    assert tiles(page)["Refused records"] == f"{sum(row['rejected'] for row in books):,}"
    assert tiles(page)["Sign-ins today"] == f"{shown.api('logins_today?zone=Asia/Kolkata')['logins']:,}"
    [today] = [url for url in shown.asked if "logins_today" in url]
    assert today.endswith(("zone=Asia%2FKolkata", "zone=Asia%2FCalcutta"))

    open_all(page)
    assert [row[1:4] for row in table(page, "Requests and errors a day")] == [
        [
            f"{day['total_requests']:,}",
            f"{day['total_errors']:,}",
            f"{day['total_errors'] / day['total_requests']:.1%}",
        ]
        for day in truth
    ]
    assert {row[0]: row[2] for row in table(page, "Requests by application")} == summed(truth, "requests_by_app", 8)
    devices = shown.api(f"daily_activity?{span}")["items"]
    assert {row[0]: row[2] for row in table(page, "Requests by device")} == summed(devices, "requests_by_device", 8)
    assert {row[0]: row[2] for row in table(page, "Requests by status code")} == summed(
        truth, "requests_by_status", 12
    )
    logins = shown.api(f"logins?{span}")["items"]
    assert [row[1] for row in table(page, "Sign-ins a day")] == [f"{row['logins']:,}" for row in logins]
    endpoints = shown.api(f"endpoints?{span}")["items"]
    assert [row[4] for row in table(page, "Endpoints with the most requests")] == [
        f"{row['requests']:,}" for row in endpoints[:12]
    ]
    assert page.locator(".chart svg").count() == 3
    said = hovered(page, "#requests .chart")
    rate = truth[0]["total_errors"] / truth[0]["total_requests"]
    assert f"Requests  {truth[0]['total_requests']:,}" in said
    assert f"Errors  {truth[0]['total_errors']:,}  ({rate:.1%})" in said
    assert shown.complaints == []
    assert [url for url in shown.asked if not url.startswith(shown.served.url)] == []
    assert "token" not in page.url


def hovered(page: Page, chart: str) -> list[str]:
    """The words in a chart while the pointer is over its first bar."""
    page.locator(chart).scroll_into_view_if_needed()
    box = page.locator(chart).bounding_box()
    assert box is not None
    page.locator(chart).hover(position={"x": box["width"] * 0.3, "y": box["height"] * 0.3})
    expect(page.locator(f"{chart} text", has_text="29 Nov 2024")).to_be_visible()
    return page.locator(f"{chart} text").all_text_contents()


def summed(days: list[dict[str, Any]], column: str, most: int) -> dict[str, str]:
    """A map's largest values over all days."""
    names = {name for day in days for name in day[column]}
    counts = {name: sum(day[column].get(name, 0) for day in days) for name in names}
    largest = sorted(counts.items(), key=lambda item: -item[1])[:most]
    return {name: f"{count:,}" for name, count in largest}


def test_every_day_of_the_books_is_a_sum(show: Callable[..., Shown], sample: Sample) -> None:
    page = show().open()
    expected = []
    for day in reversed(sample.days):
        formats = sample.truth["days"][day]["formats"].values()
        came, published, duplicates = (
            sum(row[name] for row in formats) for name in ("records_in", "published", "duplicates")
        )
        refused = sum(sum(row["rejected"].values()) for row in formats)
        assert came == published + duplicates + refused
        expected.append(
            f"{came:,} records in = {published:,} published + {duplicates:,} duplicates + {refused:,} refused"
        )
    said = page.locator("button.day .terms").all_text_contents()
    assert [" ".join(line.split()) for line in said] == expected
    assert page.locator("button.day .mark").all_inner_texts() == ["Balanced", "Balanced"]
    expect(page.locator("#books .verdict")).to_contain_text("Balanced on both days")


def test_what_does_not_balance_is_marked_in_words(show: Callable[..., Shown], sample: Sample) -> None:
    shown = show()

    def falsified(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        first, last = (next(row for row in told["items"] if row["date"] == day) for day in sample.days)
        first.update(records_in=first["records_in"] + 7, balanced=False)
        told["items"].append({**last, "outcome": "failed", "duplicates": None, "balanced": False})
        route.fulfill(response=answer, json=told)

    shown.page.route("**/books?*", falsified)
    page = shown.open()
    assert page.locator("button.day .mark").all_inner_texts() == ["Attempt failed", "Out by 7"]
    expect(page.locator(".equation")).to_contain_text("≠")
    expect(page.locator("#books .verdict")).to_contain_text("Look at 29 Nov and 30 Nov.")
    page.locator("button.day").first.click()
    expect(page.locator(".day-place:visible")).to_contain_text("What was published before it stands.")


def test_days_that_were_never_processed_are_said_to_be_so(show: Callable[..., Shown], sample: Sample) -> None:
    page = show().open(f"?from={sample.days[0]}&to=2024-12-03&mail=1")
    assert page.locator(".gap").inner_text().split("\n") == [
        "1 Dec to Tue, 3 Dec 2024",
        "None of these days was ever processed",
    ]
    page = show().open("?from=2023-01-01&to=2023-01-05")
    expect(page.locator("#books .state")).to_have_text("None of these days was ever processed.")
    expect(page.locator("#apps .state")).to_have_text("Nothing was published of these days.")


def test_another_range_shows_its_own_numbers_and_the_address_leads_back(
    show: Callable[..., Shown], sample: Sample
) -> None:
    shown = show()
    page = shown.open()
    last = sample.days[1]
    page.get_by_role("button", name="Last day").click()
    expect(page.locator("#told")).to_have_text("Shown: Sat, 30 Nov 2024 to Sat, 30 Nov 2024.")
    assert page.url == f"{shown.served.url}/?from={last}&to={last}"
    truth = sample.truth["days"][last]["daily_activity"]
    assert tiles(page)["Requests"] == f"{truth['total_requests']:,}"
    open_all(page)
    hours = [int(row[1].replace(",", "")) for row in table(page, "Requests and errors an hour")]
    assert (len(hours), sum(hours)) == (24, truth["total_requests"])
    errors = shown.api(f"errors/{last}")
    assert [row[5] for row in table(page, "errors of the day were")] == [
        f"{row['errors']:,}" for row in errors["items"][:12]
    ]

    page.locator("#from").fill("2024-12-01")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#range-wrong")).to_have_text("The first day is after the last one.")
    page.go_back()
    expect(page.locator("#told")).to_have_text("Shown: Fri, 29 Nov 2024 to Sat, 30 Nov 2024.")
    assert shown.complaints == []


def test_refused_records_are_a_key_away_with_reason_and_place(show: Callable[..., Shown], sample: Sample) -> None:
    shown = show()
    day = sample.days[0]
    hostile = "<img src=x onerror=document.title='taken'>"

    def fewer(route: Route) -> None:
        answer = route.fetch(url=route.request.url.replace("limit=50", "limit=10"))
        told = answer.json()
        if "next=" not in route.request.url:
            told["items"][0]["raw"] = hostile
        route.fulfill(response=answer, json=told)

    shown.page.route(f"**/refusals/{day}?*", fewer)
    page = shown.open()
    page.get_by_role("button", name="Fri, 29 Nov 2024").focus()
    page.keyboard.press("Enter")
    records = page.locator(".refusals li")
    expect(records).to_have_count(10)
    assert f"day={day}" in page.url
    refused = sum(sum(row["rejected"].values()) for row in sample.truth["days"][day]["formats"].values())
    expect(page.get_by_text(f"The first 10 of {refused}")).to_be_visible()
    while page.locator(".day-place section > .body > .more").is_visible():
        had = records.count()
        page.locator(".day-place section > .body > .more").click()
        expect(records.nth(had)).to_be_focused()
    expect(records).to_have_count(refused)

    answer = shown.api(f"refusals/{day}?limit=1000")
    assert page.locator(".refusals h4").all_inner_texts() == list(
        dict.fromkeys(row["source_file"] for row in answer["items"])
    )
    for item, row in zip(records.all_inner_texts(), answer["items"], strict=True):
        assert item.startswith(f"line {row['source_line']:,}")
        assert row["reason"] in item
        assert row["meaning"] in item
    assert records.first.locator("pre").inner_text() == hostile
    assert page.title() == "Atlas local"
    assert shown.complaints == []

    page.reload()  # the address leads to the open day
    expect(page.locator(".refusals li").first).to_be_visible()


def test_a_failure_is_told_where_it_was_and_can_be_tried_again(show: Callable[..., Shown], sample: Sample) -> None:
    shown = show()
    detail = "The query has read more than it may: ask for fewer days."
    problem = {"type": "about:blank", "title": "Bad Gateway", "status": 502, "detail": detail}
    shown.page.route("**/daily_activity?*", lambda route: route.fulfill(status=502, json=problem))
    page = shown.open()
    expect(page.locator("#told")).to_contain_text("4 of 7 parts could not be loaded.")
    expect(page.locator("#requests .failure")).to_contain_text(detail)
    expect(page.locator("button.day")).to_have_count(len(sample.days))
    page.unroute("**/daily_activity?*")
    page.locator("#requests .failure button").click()
    expect(page.locator(".failure")).to_have_count(0)
    expect(page.locator("#requests h2")).to_be_focused()
    expect(page.locator("#requests svg")).to_be_visible()
    assert "–" not in tiles(page).values()


def test_an_answer_that_takes_longer_is_waited_for(show: Callable[..., Shown]) -> None:
    shown = show()
    waits = iter([True, False])

    def later(route: Route) -> None:
        if next(waits, False):
            address = route.request.url.removeprefix(f"{shown.served.url}/")
            route.fulfill(status=202, json={"status": "running", "answer": address}, headers={"Retry-After": "1"})
        else:
            route.continue_()

    shown.page.route("**/endpoints?*", later)
    shown.page.goto(f"{shown.served.url}/#token={shown.served.token}")
    expect(shown.page.locator("#endpoints")).to_contain_text("It is still running.")
    expect(shown.page.locator("#endpoints tbody tr")).to_have_count(12)
    assert shown.complaints == []


def test_a_link_with_a_clients_secret_signs_in_at_the_deployed_api(
    show: Callable[..., Shown], cloud: Cloud, sample: Sample
) -> None:
    shown = show()
    made = register(cloud, "page")
    fragment = urlencode({name: made[name] for name in ("client_id", "client_secret", "audience")})
    page = shown.page
    # What is asked at the same time starts a function each: here one question is enough.
    page.route(re.compile("/(daily_activity|endpoints|logins|logins_today)[?]"), lambda route: route.abort())
    page.goto(f"{cloud.queries_url}/?from={sample.days[0]}&to={sample.days[1]}#{fragment}", timeout=60_000)
    expect(page.locator("button.day .mark")).to_have_text(["Balanced", "Balanced"], timeout=60_000)
    books = [row for day in sample.truth["days"].values() for row in day["formats"].values()]
    expect(page.locator(".equation")).to_contain_text(f"{sum(row['records_in'] for row in books):,} records in")
    assert made["client_secret"] not in page.evaluate("location.href + JSON.stringify({...sessionStorage})")
    assert [said for said in shown.complaints if "ERR_FAILED" not in said] == []
    assert [url for url in shown.asked if not url.startswith((f"{cloud.queries_url}/", "data:"))] == []


def test_whoever_is_not_signed_in_is_asked_to_and_the_secret_is_not_kept(show: Callable[..., Shown]) -> None:
    shown = show()
    page = shown.page
    asked: list[str] = []
    refusals: list[str] = []

    def token(route: Route) -> None:
        asked.append(route.request.post_data or "")
        if "client_secret=right" in asked[-1]:
            answer = {"access_token": shown.served.token, "token_type": "Bearer", "expires_in": 1200}
            route.fulfill(json=answer)
        else:
            route.fulfill(status=401, json={"error": "invalid_client", "error_description": "…"})

    def refused_once(route: Route) -> None:
        refusals.append(route.request.url)
        if len(refusals) == 2:
            route.fulfill(status=401, json={"title": "Unauthorized", "status": 401, "detail": "It does not hold."})
        else:
            route.fallback()

    page.route("**/token", token)
    page.route("**/freshness", refused_once)
    page.goto(f"{shown.served.url}/#token=of-yesterday")
    expect(page.locator("#sign-in-why")).to_have_text("Your sign-in has ended. Sign in again.")
    expect(page.locator("#client-id")).to_be_focused()
    page.keyboard.type("shop")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#sign-in-why")).to_have_text("The client id or the secret is wrong.")
    page.locator("#client-secret").fill("right")
    page.keyboard.press("Enter")
    expect(page.locator("#told")).to_contain_text("Shown:")
    assert len(asked) == 3  # the wrong secret; the right one; and once more, as the first token was refused
    assert (
        asked[-1]
        == "grant_type=client_credentials&client_id=shop&client_secret=right&audience=atlas-local%2Fqueries"
    )
    kept = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")
    assert shown.served.token in kept
    assert "right" not in kept
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#sign-in")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize(("scheme", "size"), [("light", WIDE), ("dark", PHONE)], ids=["light", "dark at 320 px"])
def test_an_accessibility_checker_finds_nothing_serious(show: Callable[..., Shown], scheme: str, size: Any) -> None:
    shown = show(viewport=size, color_scheme=scheme)
    page = shown.open()
    page.locator("button.day").first.click()
    expect(page.locator(".refusals li").first).to_be_visible()
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # only tables scroll sideways
    page.evaluate((install(chromium.PROJECT) / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    assert len(found["passes"]) > 20
    serious = [fault for fault in found["violations"] if fault["impact"] in SERIOUS]
    assert [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in serious] == []
    assert shown.complaints == []


def test_the_reference_names_every_route_and_asks_with_the_pages_token(show: Callable[..., Shown]) -> None:
    shown = show()
    page = shown.open()
    page.get_by_role("link", name="API").click()
    expect(page.locator(".opblock").first).to_be_visible()
    routes = shown.api("openapi.json")["paths"]
    assert sorted(
        page.locator(".opblock").evaluate_all(
            "all => all.map(one => one.querySelector('[data-path]').dataset.path)"
        )
    ) == sorted(routes)
    page.locator(".opblock", has=page.locator("[data-path='/freshness']")).locator(
        ".opblock-summary-control"
    ).click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status")).to_contain_text("200")
    assert shown.complaints == []
    assert [url for url in shown.asked if not url.startswith((shown.served.url, "data:", "blob:"))] == []
