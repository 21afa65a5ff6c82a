"""The shop that is visited: its pages and API calls, how each answers, and what its services say."""

from __future__ import annotations

from dataclasses import dataclass

from atlas_cli.generate.rng import zipf

Weights = tuple[tuple[int, int], ...]

_PAGE: Weights = ((200, 950), (304, 30), (500, 6), (503, 4), (502, 2))
_ITEM: Weights = ((200, 930), (304, 25), (404, 30), (500, 8), (504, 2))
_ASSET: Weights = ((200, 700), (304, 290), (404, 6))
_READ: Weights = (
    (200, 940),
    (304, 10),
    (401, 12),
    (403, 5),
    (404, 14),
    (429, 9),
    (500, 8),
    (502, 4),
    (503, 3),
)
_WRITE: Weights = ((201, 900), (400, 25), (401, 12), (409, 10), (422, 22), (429, 6), (500, 9), (504, 4))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A thing to ask for. `{id}` in its path stands for a number; `median` is in tenths of a millisecond."""

    path: str
    service: str
    statuses: Weights = _PAGE
    method: str = "GET"
    median: int = 420
    size: int = 18_000


PAGES = zipf(
    (
        Endpoint("/", "catalog"),
        Endpoint("/products/{id}", "catalog", _ITEM, median=610, size=24_000),
        Endpoint("/static/app.js", "cdn", _ASSET, median=35, size=180_000),
        Endpoint("/search", "search", median=1_350, size=31_000),
        Endpoint("/products", "catalog", median=880, size=42_000),
        Endpoint("/static/style.css", "cdn", _ASSET, median=28, size=36_000),
        Endpoint("/cart", "cart", median=540, size=9_500),
        Endpoint("/blog/how-to-pack-light", "content", size=28_000),
        Endpoint("/account", "auth", median=720, size=8_200),
        Endpoint("/orders/{id}", "orders", _ITEM, median=960, size=7_400),
        Endpoint("/favicon.ico", "cdn", _ASSET, median=22, size=4_200),
        Endpoint("/help/returns", "content", size=12_000),
        Endpoint("/search?q=caf%C3%A9&sort=price", "search", median=1_500, size=30_000),
        Endpoint("/blog/gift-guide", "content", size=33_000),
        Endpoint("/about", "content", size=6_100),
        Endpoint("/wp-login.php", "content", ((404, 1),), median=60, size=510),
    )
)
CALLS = zipf(
    (
        Endpoint("/api/v1/products/{id}", "catalog", _READ, median=310, size=2_600),
        Endpoint("/api/v1/cart", "cart", _READ, median=270, size=1_400),
        Endpoint("/api/v1/search", "search", _READ, median=1_120, size=9_800),
        Endpoint("/api/v1/recommendations", "catalog", _READ, median=840, size=5_200),
        Endpoint("/api/v1/cart/items", "cart", _WRITE, "POST", 460, 620),
        Endpoint("/api/v1/users/me", "auth", _READ, median=240, size=900),
        Endpoint("/api/v1/inventory/{id}", "inventory", _READ, median=330, size=480),
        Endpoint("/api/v1/cart/items/{id}", "cart", ((204, 940), (404, 40), (500, 8)), "DELETE", 380, 1),
        Endpoint("/api/v2/prices", "pricing", _READ, median=520, size=3_900),
        Endpoint("/api/v1/users/me", "auth", ((200, 930), (400, 30), (422, 30), (500, 8)), "PUT", 650, 900),
        Endpoint("/api/v1/products/{id}/stock", "inventory", ((204, 950), (409, 40)), "PATCH", 590, 1),
    )
)
LOGIN = Endpoint("/login", "auth", ((302, 820), (401, 150), (429, 15), (500, 8)), "POST", 1_900, 640)
SIGNUP = Endpoint("/signup", "auth", ((201, 900), (409, 60), (422, 40)), "POST", 2_300, 1_100)
CHECKOUT = Endpoint("/checkout", "orders", ((200, 930), (402, 40), (500, 14), (502, 8)), "POST", 3_100, 5_200)
LOGOUT = Endpoint("/logout", "auth", ((302, 1),), "POST", 210, 320)
PAYMENT = Endpoint("/api/v1/payments", "payments", ((201, 920), (402, 50), (502, 15)), "POST", 4_200, 780)
ORDER = Endpoint("/api/v1/orders", "orders", _WRITE, "POST", 1_450, 1_250)
TOKEN = Endpoint("/api/v1/auth/token", "auth", ((200, 880), (401, 105), (500, 5)), "POST", 900, 1_050)
HEALTH = Endpoint("/health", "cdn", ((200, 995), (503, 5)), median=18, size=2)
ROBOTS = Endpoint("/robots.txt", "cdn", ((200, 1),), median=24, size=210)

REFERRERS = (
    "https://www.google.com/",
    "https://www.bing.com/",
    "https://news.example.org/deals?from=mail&id=7",
)

FAULTS: dict[int, tuple[str, ...]] = {
    402: ("Card declined by issuer & no fallback method",),
    409: ("Version conflict: item was changed by another session",),
    429: ("Rate limit exceeded: 100 requests/min",),
    500: (
        "NullPointerException at com.example.shop.CartService.total(CartService.java:118)",
        'Template failed: expected "<" but found ">" in <price currency="EUR">',
        "Unhandled error in worker: KeyError 'sku'",
    ),
    502: ("Bad gateway: upstream payments & invoicing closed the connection",),
    503: ("Service unavailable: connection pool exhausted (50/50 in use)",),
    504: ("Upstream timed out after 30 s while reading <orders> & <stock>",),
}
BATCH_FAULTS = (
    (500, "Nightly export failed: could not serialize row 1029"),
    (503, "Queue consumer lagging: retry later"),
    (504, "Stock sync timed out: supplier A & B"),
    (502, "Webhook delivery failed: upstream sent <html> instead of JSON"),
)
BATCH_SERVICES = ("inventory", "orders", "payments", "pricing")

LINES = (
    ("INFO", "Cache warmed"),
    ("INFO", "Scheduled job finished: price-refresh"),
    ("DEBUG", "Session store compacted"),
    ("INFO", "Newsletter batch sent to 250 recipients"),
    ("WARN", "Slow query: 1240 ms on orders_by_user"),
    ("INFO", "Café menu imported: 12 entries, Grüße aus Köln"),
    ("WARNING", "Disk usage at 81% on /var/lib/shop"),
    ("info", "Feature flag new_checkout evaluated: true"),
    ("ERROR", "Failed to send mail: SMTP 451 temporary failure"),
    ("error", 'Could not parse supplier feed: unexpected token "," in line 7'),
    ("CRITICAL", "Payment provider unreachable for 60 s"),
    ("FATAL", "Worker 3 ran out of memory and was restarted"),
)
