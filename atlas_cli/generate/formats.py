"""The formats that are generated, each one function over the day's traffic. A new one joins FORMATS."""

from __future__ import annotations

import gzip
import html
from collections.abc import Sequence
from datetime import date

from atlas.reasons import RecordReason
from atlas_cli.generate.drafts import (
    MICROSECONDS,
    MILLISECONDS,
    SECONDS,
    Draft,
    Facts,
    Fault,
    Fields,
    Format,
    compact_json,
    cut,
    lines,
    python_repr,
    spaced_json,
    stamp,
    with_value,
    without,
)
from atlas_cli.generate.model import Request, Traffic
from atlas_cli.generate.rng import Rng

GZIP_LEVEL = 6

_MALFORMED = RecordReason.MALFORMED_RECORD
_NO_TIME = RecordReason.NO_EVENT_TIME
_MISSING = RecordReason.MISSING_FIELD
_STATUS = RecordReason.INVALID_STATUS_CODE


def gzipped(data: bytes) -> bytes:
    """Compress with neither clock nor file name in it. Other builds of zlib may compress to other bytes."""
    return gzip.compress(data, compresslevel=GZIP_LEVEL, mtime=0)


def access(traffic: Traffic, rng: Rng, count: int) -> list[Draft]:
    """Write web access logs; some pages are served by another application, which its records name."""
    return [_access(traffic.day, request, rng) for request in traffic.web(count)]


def _access(day: date, request: Request, rng: Rng) -> Draft:
    app = "content_site" if request.service == "content" and rng.chance(500) else None
    # One old server writes the method in lower case.
    method = request.method.lower() if rng.chance(8) else request.method
    fields = {
        "timestamp": stamp(day, request.at, rng, SECONDS, zulu=True),
        "ip": request.visitor.ip,
        "user_agent": request.visitor.agent,
        "request_type": method,
        "status": request.status,
        "endpoint": request.path,
        "bytes_sent": request.size,
        "duration_ms": request.duration / 10,
        "request_id": request.request_id,
        "user_id": request.user_id,
        "referrer": request.referrer,
        "app": app,
    }
    facts = Facts(request.visitor.ip, request.status, request.method, app=app or "web_app_1")
    return Draft(day, _present(fields), facts)


def api(traffic: Traffic, rng: Rng, count: int) -> list[Draft]:
    """Write API gateway logs; the mobile app names itself, some routes name their service."""
    return [_api(traffic.day, request, rng) for request in traffic.api(count)]


def _api(day: date, request: Request, rng: Rng) -> Draft:
    app = "mobile_app" if request.visitor.agent.startswith("ShopApp/") else None
    service = f"{request.service}_service" if app is None and rng.chance(200) else None
    fields = {
        "timestamp": stamp(day, request.at, rng, MILLISECONDS, zulu=True),
        "request_id": request.request_id,
        "ip": request.visitor.ip,
        "request_type": request.method,
        "endpoint": request.path,
        "status": request.status,
        "duration_ms": request.duration / 10,
        "bytes_sent": request.size,
        "user_agent": request.visitor.agent,
        "user_id": request.user_id,
        "app_name": app,
        "service": service,
    }
    facts = Facts(request.visitor.ip, request.status, request.method, app=app or service or "api_service")
    return Draft(day, _present(fields), facts)


def errors(traffic: Traffic, rng: Rng, count: int) -> list[Draft]:
    """Write the failures of the services. A batch job's failure has no client."""
    return [
        Draft(
            traffic.day,
            _present(
                {
                    "errorTime": stamp(traffic.day, failure.at, rng, SECONDS, zulu=False),
                    "clientIp": failure.ip,
                    "service": failure.service,
                    "errorCode": str(failure.status),
                    "message": failure.message,
                }
            ),
            Facts(failure.ip, failure.status, app=failure.service),
        )
        for failure in traffic.failures(count)
    ]


def app_events(traffic: Traffic, rng: Rng, count: int) -> list[Draft]:
    """Write what the application logs: actions of users, and messages with their level."""
    drafts = []
    for event in traffic.events(count):
        # Half of the processes name themselves, under one of two names.
        app = event.service if rng.chance(500) else None
        fields = {
            "timestamp": stamp(traffic.day, event.at, rng, MICROSECONDS, zulu=rng.chance(700)),
            "level": event.level,
            "message": event.message,
            "user_id": event.user_id,
            "action": event.action,
            rng.pick(("app", "service")): app,
            "context": event.context,
        }
        level = event.level.upper() if event.level else None
        drafts.append(Draft(traffic.day, _present(fields), Facts(level=level, app=app)))
    return drafts


def _present(fields: Fields) -> Fields:
    return {key: value for key, value in fields.items() if value is not None}


def error_element(fields: Fields) -> str:
    """Write one <error>. Messages with angle brackets come in CDATA, others with entities."""
    parts = [f"<{name}>{_xml_text(str(value))}</{name}>" for name, value in fields.items()]
    return "<error>" + "".join(parts) + "</error>"


def _xml_text(value: str) -> str:
    return f"<![CDATA[{value}]]>" if "<" in value else html.escape(value, quote=False)


def _json_gzip(texts: Sequence[str], variant: int) -> bytes:
    array = ("[\n" + ",\n".join(texts) + "\n]\n").encode()
    return gzipped(array if variant == 0 else lines(texts, variant))


def _xml(texts: Sequence[str], variant: int) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n' if variant == 0 else ""
    body = "".join(f"  {text}\n" for text in texts)
    return f"{head}<errors>\n{body}</errors>\n".encode()


FORMATS: tuple[Format, ...] = (
    Format(
        "ndjson",
        "access_logs",
        ".ndjson",
        share=43,
        draft=access,
        write=compact_json,
        pack=lines,
        serial=("request_id",),
        faults=(
            Fault(_MALFORMED, "the line ends in its middle", cut, lines_only=True),
            Fault(_MALFORMED, "a Python dict, not JSON", python_repr, lines_only=True),
            Fault(_MALFORMED, "plain text", lambda *_: "--- log rotated ---", lines_only=True),
            Fault(_MISSING, "no `ip`", without("ip")),
            Fault(_MISSING, "`endpoint` is null", with_value("endpoint", None)),
            Fault(_STATUS, "`status` is 999", with_value("status", 999)),
            Fault(_STATUS, "`status` is 42", with_value("status", 42)),
            Fault(_STATUS, '`status` is "abc"', with_value("status", "abc")),
            Fault(_NO_TIME, "no `timestamp`", without("timestamp")),
            Fault(_NO_TIME, '`timestamp` is "yesterday"', with_value("timestamp", "yesterday")),
        ),
    ),
    Format(
        "json_gzip",
        "api_logs",
        ".json.gz",
        share=32,
        draft=api,
        write=compact_json,
        pack=_json_gzip,
        serial=("request_id",),
        is_lines=lambda variant: variant == 1,
        faults=(
            Fault(_MALFORMED, "the line ends in its middle", cut, lines_only=True),
            Fault(_MISSING, "no `endpoint`", without("endpoint")),
            Fault(_MISSING, "no `status`", without("status")),
            Fault(_STATUS, "`status` is 999", with_value("status", 999)),
            Fault(_STATUS, "`status` is 0", with_value("status", 0)),
            Fault(_NO_TIME, "`timestamp` is 30 February", with_value("timestamp", "2024-02-30T08:00:00.000Z")),
        ),
    ),
    Format(
        "xml_errors",
        "errors",
        ".xml",
        share=8,
        draft=errors,
        write=error_element,
        pack=_xml,
        is_lines=lambda variant: False,  # noqa: ARG005
        faults=(
            Fault(_MISSING, "no `<message>`", without("message")),
            Fault(_STATUS, "`<errorCode>` is 1042", with_value("errorCode", "1042")),
            Fault(_NO_TIME, "`<errorTime>` is n/a", with_value("errorTime", "n/a")),
        ),
    ),
    Format(
        "app_log",
        "app_events",
        ".log",
        share=17,
        draft=app_events,
        write=spaced_json,
        pack=lines,
        serial=("context",),
        faults=(
            Fault(_MALFORMED, "the line ends in its middle", cut, lines_only=True),
            Fault(_MALFORMED, "plain text", lambda *_: "Traceback (most recent call last):", lines_only=True),
            Fault(_MISSING, "neither `message` nor `action`", without("message", "action")),
            Fault(_MISSING, "neither `level` nor `user_id`", without("level", "user_id")),
            Fault(_NO_TIME, "no `timestamp`", without("timestamp")),
        ),
    ),
)
"""In the order in which they take from the traffic: a new format goes last, and changes no other."""
