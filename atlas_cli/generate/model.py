"""The traffic of one day: visits that leave requests, API calls, application events and failures behind.

Visit number i of a day depends on the seed, the day and i only. So whoever asks for more of one kind, such
as a new format, changes nothing in what the others get.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import date
from typing import Protocol, TypeVar

from atlas_cli.generate import catalog
from atlas_cli.generate.catalog import Endpoint
from atlas_cli.generate.people import Kind, Visitor, visitor
from atlas_cli.generate.rng import Rng, zipf

DAY_MS = 86_400_000
# A shop's day in UTC: a trough at four in the night, a hump before noon, a second one in the evening.
_SHAPE = (18, 12, 8, 6, 5, 8, 15, 30, 48, 64, 74, 76, 66, 58, 56, 57, 55, 54, 60, 70, 77, 70, 50, 32)
_HOURS = tuple(enumerate(_SHAPE))
_SERVICE_LINES = zipf(catalog.LINES)


class _Timed(Protocol):
    @property
    def at(self) -> int: ...


E = TypeVar("E", bound=_Timed)


@dataclass(frozen=True, slots=True)
class Request:
    """One answered request. `at` is milliseconds since the day began; `duration` is in tenths of one."""

    at: int
    visitor: Visitor
    method: str
    path: str
    service: str
    status: int
    size: int
    duration: int
    request_id: str | None
    user_id: str | None
    referrer: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """What a service reports when it could not answer; a batch job's failure has no client."""

    at: int
    ip: str | None
    service: str
    status: int
    message: str


@dataclass(frozen=True, slots=True)
class AppEvent:
    """What the application logs: a user's action, or a message with its level."""

    at: int
    service: str
    level: str | None = None
    message: str | None = None
    user_id: str | None = None
    action: str | None = None
    context: dict[str, object] | None = None


class Traffic:
    """One day's traffic, made visit by visit as far as it is asked for."""

    def __init__(self, seed: int, day: date) -> None:
        self.day = day
        self._seed = seed
        self._visits = 0
        self._web: deque[Request] = deque()
        self._api: deque[Request] = deque()
        self._failures: deque[Failure] = deque()
        self._events: deque[AppEvent] = deque()

    def web(self, count: int) -> list[Request]:
        """Take the next requests to the web server, in the order of their time."""
        return self._take(self._web, count)

    def api(self, count: int) -> list[Request]:
        """Take the next requests to the API gateway, in the order of their time."""
        return self._take(self._api, count)

    def failures(self, count: int) -> list[Failure]:
        """Take the next failures of services, in the order of their time."""
        return self._take(self._failures, count)

    def events(self, count: int) -> list[AppEvent]:
        """Take the next events of the application, in the order of their time."""
        return self._take(self._events, count)

    def _take(self, queue: deque[E], count: int) -> list[E]:
        while len(queue) < count:
            self._visit()
        return sorted((queue.popleft() for _ in range(count)), key=lambda item: item.at)

    def _visit(self) -> None:
        rng = Rng(self._seed, self.day.isoformat(), "visit", self._visits)
        self._visits += 1
        visit = _Visit(rng, visitor(self._seed, rng))
        visit.run()
        # A visit that is still going on at midnight ends there: the day's files hold the day.
        self._web.extend(item for item in visit.web if item.at < DAY_MS)
        self._api.extend(item for item in visit.api if item.at < DAY_MS)
        self._failures.extend(item for item in visit.failures if item.at < DAY_MS)
        self._events.extend(item for item in visit.events if item.at < DAY_MS)


class _Visit:
    def __init__(self, rng: Rng, who: Visitor) -> None:
        self.rng = rng
        self.who = who
        self.web: list[Request] = []
        self.api: list[Request] = []
        self.failures: list[Failure] = []
        self.events: list[AppEvent] = []
        self.at = self.moment()
        self.user_id: str | None = None
        self.referrer: str | None = None

    def moment(self) -> int:
        """Choose a millisecond of the day, as likely as the day's shape makes it."""
        return self.rng.weighted(_HOURS) * 3_600_000 + self.rng.below(3_600_000)

    def run(self) -> None:
        self.background()
        if self.who.kind is Kind.PERSON:
            self.person()
        elif self.who.kind is Kind.CRAWLER:
            self.fetch(catalog.ROBOTS)
            for _ in range(3 + self.rng.below(10)):
                self.fetch(self.rng.weighted(catalog.PAGES))
        elif self.who.kind is Kind.SCRIPT:
            for _ in range(2 + self.rng.below(14)):
                self.call(self.rng.weighted(catalog.CALLS))
        else:
            for _ in range(3):
                self.fetch(catalog.HEALTH)

    def person(self) -> None:
        """Look around, perhaps sign in, perhaps buy, perhaps sign out."""
        rng = self.rng
        self.referrer = rng.pick(catalog.REFERRERS) if rng.chance(400) else None
        self.fetch(self.rng.weighted(catalog.PAGES))
        if rng.chance(60) and self.fetch(catalog.SIGNUP) == 201:
            self.act("signup", {"plan": rng.pick(("free", "plus")), "newsletter": rng.chance(300)})
        if rng.chance(550):
            self.sign_in()
        for _ in range(1 + rng.below(7)):
            self.fetch(rng.weighted(catalog.PAGES))
            for _ in range(rng.below(3)):
                self.call(rng.weighted(catalog.CALLS))
        if self.user_id and rng.chance(260):
            self.buy()
        if self.user_id and rng.chance(500):
            self.fetch(catalog.LOGOUT)
            self.act("logout")
            self.user_id = None

    def sign_in(self) -> None:
        for _ in range(3):
            if self.fetch(catalog.LOGIN) == 302:
                self.user_id = self.who.user_id
                self.call(catalog.TOKEN)
                self.act("login", {"method": self.rng.pick(("password", "passkey", "sso"))})
                return
            self.act("login_failed")

    def buy(self) -> None:
        self.act("add_to_cart", {"sku": f"SKU-{1000 + self.rng.skewed(400)}", "quantity": 1 + self.rng.skewed(4)})
        if self.fetch(catalog.CHECKOUT) == 200 and self.call(catalog.PAYMENT) == 201:
            self.call(catalog.ORDER)
            items = 1 + self.rng.skewed(5)
            order = {
                "order_id": f"o-{self.rng.hex(10)}",
                "items": items,
                "total": {"cents": 990 * items, "currency": "EUR"},
            }
            self.act("purchase", order)

    def fetch(self, endpoint: Endpoint) -> int:
        """Ask the web server; the answer's status."""
        self.at += self.rng.lognormal(9_000, 0.9)
        self.web.append(self.request(endpoint))
        self.referrer = "https://shop.example.com/" if self.who.kind is Kind.PERSON else None
        return self.web[-1].status

    def call(self, endpoint: Endpoint) -> int:
        """Ask the API gateway; the answer's status."""
        self.at += self.rng.lognormal(1_500, 0.8)
        self.api.append(self.request(endpoint))
        return self.api[-1].status

    def request(self, endpoint: Endpoint) -> Request:
        rng = self.rng
        status = rng.weighted(endpoint.statuses)
        if status >= 500 or status in {402, 409, 429}:
            self.fail(endpoint, status)
        probe = self.who.kind is Kind.PROBE
        return Request(
            at=self.at,
            visitor=self.who,
            method=endpoint.method,
            path=endpoint.path.replace("{id}", str(1_000 + rng.skewed(400))),
            service=endpoint.service,
            status=status,
            size=0 if status in {204, 304} else rng.lognormal(endpoint.size, 0.25),
            duration=rng.lognormal(300_000 if status == 504 else endpoint.median, 0.15 if status == 504 else 0.7),
            request_id=None if probe else rng.hex(16),
            user_id=self.user_id,
            referrer=self.referrer,
        )

    def fail(self, endpoint: Endpoint, status: int) -> None:
        message = self.rng.pick(catalog.FAULTS[status])
        self.failures.append(Failure(self.at + 3, self.who.ip, endpoint.service, status, message))
        if status >= 500 and self.rng.chance(500):
            text = f"{endpoint.method} {endpoint.path} answered {status}"
            self.events.append(
                AppEvent(self.at + 5, endpoint.service, "ERROR", text, context={"retry": self.rng.below(3)})
            )

    def act(self, action: str, context: dict[str, object] | None = None) -> None:
        self.at += 40 + self.rng.below(400)
        self.events.append(AppEvent(self.at, "web", user_id=self.who.user_id, action=action, context=context))

    def background(self) -> None:
        """Let the services do what they do meanwhile, whoever visits."""
        if self.rng.chance(650):
            level, message = self.rng.weighted(_SERVICE_LINES)
            self.events.append(AppEvent(self.moment(), self.rng.pick(catalog.BATCH_SERVICES), level, message))
        if self.rng.chance(550):
            status, message = self.rng.pick(catalog.BATCH_FAULTS)
            ip = None if self.rng.chance(250) else f"10.30.{self.rng.below(4)}.{1 + self.rng.below(40)}"
            service = self.rng.pick(catalog.BATCH_SERVICES)
            self.failures.append(Failure(self.moment(), ip, service, status, message))
