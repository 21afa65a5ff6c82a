"""The files that are measured: the traffic of `atlas generate` in every syntax and layout, streams of any size."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import count
from typing import Literal

from atlas_cli.generate.formats import error_element
from atlas_cli.generate.model import Request, Traffic
from atlas_cli.generate.rng import Rng

_DISTINCT, _PIECE = 2000, 200
"""So many records differ in more than their times, far more than deflate's window holds; so many are a piece."""
_CROWDS = 10
"""So many times as many distinct records has a whole day, of as many times as many visitors."""
_BEGINS = 1_732_838_400
_DAY_MICROSECONDS = 86_400_000_000
_TIME = "@time@"
_SECONDS, _MICROSECONDS = "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"
_FLOW_HEADER = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end "
    "action log-status\n"
)


@dataclass(frozen=True)
class Case:
    """A file: its records, how their times look, what stands around and between them, and how it is parsed.

    `floor` is what a parser without Atlas would be given: each line of JSON, all of it at once, each line of
    text, or XML.
    """

    name: str
    format: str
    records: Callable[[Traffic, Rng], list[str]]
    time: str = _SECONDS
    around: tuple[str, str] = ("", "\n")
    between: str = "\n"
    gzip: bool = True
    floor: Literal["lines", "document", "text", "xml"] = "lines"

    def pieces(self, size: int) -> Iterator[bytes]:
        """The text, `size` bytes or a little more, in pieces.

        Its times go on at fifty records a second, as in a log of 1.5 GB a day.
        """
        records = self.records(Traffic(7, date(2024, 11, 29)), Rng(self.name))
        yield self.around[0].encode()
        written = 0
        for first in count(0, _PIECE):
            some = [
                records[number % _DISTINCT].replace(_TIME, _stamp(self.time, _fifty_a_second(number)))
                for number in range(first, first + _PIECE)
            ]
            piece = self.between.join([""] * bool(first) + some).encode()
            yield piece
            written += len(piece)
            if written >= size:
                break
        yield self.around[1].encode()

    def of_day(self, numbers: Sequence[int], of: int) -> Iterator[str]:
        """The records of these numbers, each one line, of a day of so many, spread evenly over its 24 hours."""
        records = _of_crowds(self, min(_CROWDS, -(-of // _DISTINCT)))
        for number in numbers:
            time = number * _DAY_MICROSECONDS // of
            yield records[number % len(records)].replace(_TIME, _stamp(self.time, time))

    def file(self, text: bytes) -> bytes:
        """The file with this text, as producers upload it."""
        return gzip.compress(text, 6, mtime=0) if self.gzip else text


@lru_cache
def _of_crowds(case: Case, crowds: int) -> list[str]:
    traffics = (Traffic(7 + crowd, date(2024, 11, 29)) for crowd in range(crowds))
    return [record for traffic in traffics for record in case.records(traffic, Rng(case.name))]


class Stream:
    """A file that is made while it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, amount: int, /) -> bytes:
        """Up to `amount` bytes; none at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        found, self._rest = self._rest[:amount], self._rest[amount:]
        return found


def _fifty_a_second(number: int) -> int:
    return number * 20_000 + number * 7919 % 19_999


def _stamp(form: str, microseconds: int) -> str:
    second, micros = divmod(microseconds, 1_000_000)
    return _second(form, second).replace("%f", f"{micros:06d}")


@lru_cache(4)
def _second(form: str, second: int) -> str:
    if form == "epoch":
        return str(_BEGINS + second)
    return datetime.fromtimestamp(_BEGINS + second, UTC).strftime(form.replace("%f", "%%f"))


def _json(fields: Mapping[str, object], *, blanks: bool = False) -> str:
    present = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(present, ensure_ascii=False, separators=None if blanks else (",", ":"))


def _access_fields(request: Request) -> Mapping[str, object]:
    return {
        "timestamp": _TIME,
        "ip": request.visitor.ip,
        "user_agent": request.visitor.agent,
        "request_type": request.method,
        "status": request.status,
        "endpoint": request.path,
        "bytes_sent": request.size,
        "duration_ms": request.duration / 10,
        "request_id": request.request_id,
        "user_id": request.user_id,
        "referrer": request.referrer,
    }


def _access(traffic: Traffic, _: Rng) -> list[str]:
    return [_json(_access_fields(request)) for request in traffic.web(_DISTINCT)]


def _pretty(traffic: Traffic, _: Rng) -> list[str]:
    return [json.dumps(_access_fields(request), indent=2) for request in traffic.web(_DISTINCT)]


def _events(traffic: Traffic, _: Rng) -> list[str]:
    return [
        _json(
            {
                "timestamp": _TIME,
                "level": event.level,
                "message": event.message,
                "user_id": event.user_id,
                "action": event.action,
                "app": event.service,
                "context": event.context,
            },
            blanks=True,
        )
        for event in traffic.events(_DISTINCT)
    ]


def _cloudtrail(traffic: Traffic, rng: Rng) -> list[str]:
    return [
        _json(
            {
                "eventVersion": "1.11",
                "userIdentity": {
                    "type": "AssumedRole",
                    "principalId": f"AROAEXAMPLE:{request.user_id}",
                    "arn": f"arn:aws:sts::123456789012:assumed-role/{request.service}/{request.user_id}",
                    "accountId": "123456789012",
                    "accessKeyId": f"ASIA{rng.hex(16).upper()}",
                    "sessionContext": {
                        "sessionIssuer": {"type": "Role", "accountId": "123456789012", "userName": request.service},
                        "attributes": {"creationDate": _TIME, "mfaAuthenticated": "false"},
                    },
                },
                "eventTime": _TIME,
                "eventSource": "s3.amazonaws.com",
                "eventName": rng.pick(("GetObject", "PutObject", "ListObjects", "HeadObject")),
                "awsRegion": "eu-west-1",
                "sourceIPAddress": request.visitor.ip,
                "userAgent": request.visitor.agent,
                "requestParameters": {"bucketName": "shop-assets", "key": request.path, "Host": "s3.amazonaws.com"},
                "responseElements": None if rng.chance(700) else {"x-amz-version-id": rng.hex(32)},
                "additionalEventData": {"bytesTransferredOut": request.size, "x-amz-id-2": rng.hex(64)},
                "requestID": rng.hex(16).upper(),
                "eventID": rng.hex(32),
                "readOnly": True,
                "resources": [
                    {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::shop-assets{request.path}"},
                    {"accountId": "123456789012", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::shop-assets"},
                ],
                "eventType": "AwsApiCall",
                "managementEvent": False,
                "recipientAccountId": "123456789012",
                "eventCategory": "Data",
            }
        )
        for request in traffic.web(_DISTINCT)
    ]


def _combined(traffic: Traffic, _: Rng) -> list[str]:
    return [
        f'{r.visitor.ip} - {r.user_id or "-"} [{_TIME}] "{r.method} {r.path} HTTP/1.1" {r.status} {r.size} '
        f'"{r.referrer or "-"}" "{r.visitor.agent}"'
        for r in traffic.web(_DISTINCT)
    ]


def _alb(traffic: Traffic, rng: Rng) -> list[str]:
    group = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/shop/73e2d6bc24d8a067"
    certificate = "arn:aws:acm:eu-west-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
    return [
        f"https {_TIME} app/shop-web/50dc6c495c0c9188 {r.visitor.ip}:{1024 + rng.below(60_000)} 10.0.0.1:8443 "
        f"0.001 {r.duration / 10_000:.3f} 0.000 {r.status} {r.status} {100 + rng.below(900)} {r.size} "
        f'"{r.method} https://www.example.com:443{r.path} HTTP/2.0" "{r.visitor.agent}" '
        f'ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 {group} "Root=1-{rng.hex(8)}-{rng.hex(24)}" "www.example.com" '
        f'"{certificate}" 1 {_TIME} "waf,forward" "-" "-" "10.0.0.1:8443" "{r.status}" "-" "-" TID_{rng.hex(32)}'
        for r in traffic.web(_DISTINCT)
    ]


def _cloudfront(traffic: Traffic, rng: Rng) -> list[str]:
    rows = []
    for r in traffic.web(_DISTINCT):
        path, _, query = r.path.partition("?")
        agent, host, seconds = r.visitor.agent.replace(" ", "%20"), "www.example.com", r.duration / 10_000
        rows.append(
            f"{_TIME}\tFRA2\t{r.size}\t{r.visitor.ip}\t{r.method}\td111111abcdef8.cloudfront.net\t{path}\t{r.status}\t"
            f"{r.referrer or '-'}\t{agent}\t{query or '-'}\t-\tHit\t{rng.hex(54)}==\t{host}\thttps\t"
            f"{100 + rng.below(900)}\t{seconds:.3f}\t-\tTLSv1.3\tTLS_AES_128_GCM_SHA256\tHit\tHTTP/2.0\t-\t-\t"
            f"{1024 + rng.below(60_000)}\t{seconds:.3f}\tHit\ttext/html\t{r.size}\t-\t-"
        )
    return rows


def _flows(traffic: Traffic, rng: Rng) -> list[str]:
    return [
        f"2 123456789012 eni-{rng.hex(17)} {r.visitor.ip} 10.0.0.{rng.below(250)} {1024 + rng.below(60_000)} 443 6 "
        f"{1 + r.size // 1400} {r.size} {_TIME} {_TIME} ACCEPT OK"
        for r in traffic.web(_DISTINCT)
    ]


def _errors(traffic: Traffic, _: Rng) -> list[str]:
    rows = []
    for failure in traffic.failures(_DISTINCT):
        fields = {
            "errorTime": _TIME,
            "clientIp": failure.ip,
            "service": failure.service,
            "errorCode": failure.status,
            "message": failure.message,
        }
        rows.append("  " + error_element({name: value for name, value in fields.items() if value is not None}))
    return rows


_ARRAY = ("[", "]\n")
CASES = (
    Case("NDJSON, gzip", "ndjson", _access),
    Case("NDJSON", "ndjson", _access, gzip=False),
    Case("JSON array on one line", "ndjson", _access, around=_ARRAY, between=",", gzip=False),
    Case("JSON array, pretty", "ndjson", _pretty, around=_ARRAY, between=",\n", gzip=False, floor="document"),
    Case("NDJSON, short records, microseconds, gzip", "app_log", _events, _MICROSECONDS),
    Case("CloudTrail wrapper, gzip", "cloudtrail", _cloudtrail, around=('{"Records":[', "]}"), between=","),
    Case("Apache/nginx combined, gzip", "combined", _combined, "%d/%b/%Y:%H:%M:%S +0000", floor="text"),
    Case("ALB, gzip", "alb", _alb, _MICROSECONDS, floor="text"),
    Case("CloudFront, gzip", "cloudfront", _cloudfront, "%Y-%m-%d\t%H:%M:%S", floor="text"),
    Case("VPC flow logs, gzip", "vpc_flow", _flows, "epoch", (_FLOW_HEADER, "\n"), floor="text"),
    Case("XML errors", "xml_errors", _errors, around=("<errors>\n", "\n</errors>\n"), gzip=False, floor="xml"),
)
