"""Who visits: people with a browser and an address, crawlers, scripts, and the load balancer's probe.

Every address is from a range that is kept for documentation (RFC 5737, RFC 3849) or private (RFC 1918).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from atlas_cli.generate.rng import Rng


class Kind(Enum):
    """What sort of visitor it is, which decides what a visit does."""

    PERSON = "person"
    CRAWLER = "crawler"
    SCRIPT = "script"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class Visitor:
    """One source of requests."""

    kind: Kind
    ip: str
    agent: str
    user_id: str | None = None


_MOZILLA = "Mozilla/5.0 "
_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 "
_IPHONE = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
_PERSONS = (
    (_MOZILLA + "(Windows NT 10.0; Win64; x64) " + _CHROME + "Safari/537.36", 22),
    (_MOZILLA + "(Macintosh; Intel Mac OS X 10_15_7) " + _CHROME + "Safari/537.36", 9),
    (_MOZILLA + "(Windows NT 10.0; Win64; x64) " + _CHROME + "Safari/537.36 Edg/131.0.0.0", 7),
    (_MOZILLA + "(Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0", 5),
    (_MOZILLA + "(X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0", 3),
    (_MOZILLA + "(iPhone; CPU iPhone OS 18_1_1 like Mac OS X) " + _IPHONE, 17),
    (_MOZILLA + "(Linux; Android 14; Pixel 8) " + _CHROME + "Mobile Safari/537.36", 11),
    (_MOZILLA + "(Linux; Android 13; SM-S911B) " + _CHROME + "Mobile Safari/537.36", 8),
    ("ShopApp/5.12.0 (iPhone; iOS 18.1; Scale/3.00) CFNetwork/1568.200.51 Darwin/24.1.0", 5),
    (_MOZILLA + "(iPad; CPU OS 17_7 like Mac OS X) " + _IPHONE.replace("18.1", "17.6"), 5),
    (_MOZILLA + "(Linux; Android 13; SM-X710) " + _CHROME + "Safari/537.36", 2),
)
_CRAWLERS = (
    (_MOZILLA + "(compatible; Googlebot/2.1; +http://www.google.com/bot.html)", 6),
    (_MOZILLA + "(compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", 3),
    (_MOZILLA + "(compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", 2),
    (
        _MOZILLA + "AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        1,
    ),
)
_SCRIPTS = (("curl/8.5.0", 4), ("python-requests/2.32.3", 5), ("okhttp/4.12.0", 2), ("Go-http-client/2.0", 1))
_PROBE = "ELB-HealthChecker/2.0"

_KINDS = ((Kind.PERSON, 84), (Kind.CRAWLER, 6), (Kind.SCRIPT, 5), (Kind.PROBE, 5))
_PUBLIC = ("192.0.2", "198.51.100", "203.0.113")
_PERSON_COUNT = 700
_OTHER_COUNT = 12


def visitor(seed: int, rng: Rng) -> Visitor:
    """Choose who comes by. People come again, on every day of a seed, with their browser and address."""
    kind = rng.weighted(_KINDS)
    number = rng.skewed(_PERSON_COUNT) if kind is Kind.PERSON else rng.below(_OTHER_COUNT)
    own = Rng(seed, kind.value, number)
    if kind is Kind.PERSON:
        return Visitor(kind, _address(own), own.weighted(_PERSONS), f"u{10_000 + number}")
    if kind is Kind.CRAWLER:
        return Visitor(kind, _public(own), own.weighted(_CRAWLERS))
    if kind is Kind.SCRIPT:
        return Visitor(kind, _office(own), own.weighted(_SCRIPTS))
    return Visitor(kind, f"10.0.{number % 3}.{10 + number}", _PROBE)


def _address(rng: Rng) -> str:
    if rng.chance(140):
        return f"2001:db8:{1 + rng.below(0xFFFE):x}:{1 + rng.below(0xFF):x}::{1 + rng.below(0xFFFE):x}"
    return _office(rng) if rng.chance(120) else _public(rng)


def _public(rng: Rng) -> str:
    return f"{rng.pick(_PUBLIC)}.{1 + rng.below(254)}"


def _office(rng: Rng) -> str:
    network = rng.pick(("10.20", "172.16", "192.168"))
    return f"{network}.{rng.below(8)}.{1 + rng.below(254)}"
