from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from atlas_cli.local.s3_gateway import Gateway

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

BUCKET = "lake"
ODD_KEY = "raw/day=1/a b+c%20é漢.json"


@pytest.fixture
def s3() -> Iterator[S3Client]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def gateway(s3: S3Client) -> Iterator[Gateway]:
    running = Gateway(s3)
    yield running
    running.close()


def call(gateway: Gateway, method: str, path: str, body: bytes | None = None, **query: str) -> tuple[int, bytes]:
    """One WebHDFS call as Hadoop's client makes it: a redirect is followed with the same method and the body."""
    parameters = "&".join(f"{k}={quote(v)}" for k, v in query.items())
    url = f"http://127.0.0.1:{gateway.port}/webhdfs/v1/{BUCKET}/{quote(path)}?{parameters}"
    status, location, answer = _once(method, url, None)
    if status == 307:
        status, _, answer = _once(method, location, body)
    return status, answer


def _once(method: str, url: str, body: bytes | None) -> tuple[int, str, bytes]:
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, method=method, data=body)  # noqa: S310
    try:
        with opener.open(request) as answer:
            return int(answer.status), "", answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Location", ""), error.read()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def names(gateway: Gateway, path: str) -> list[tuple[str, str]]:
    _, body = call(gateway, "GET", path, op="LISTSTATUS")
    return [(s["pathSuffix"], s["type"]) for s in json.loads(body)["FileStatuses"]["FileStatus"]]


def deny(s3: S3Client, operation: str) -> None:
    def refuse(**_: Any) -> None:
        error: Any = {
            "Error": {"Code": "AccessDenied", "Message": "no"},
            "ResponseMetadata": {"HTTPStatusCode": 403},
        }
        raise ClientError(error, operation)

    s3.meta.events.register(f"before-call.s3.{operation}", refuse)


def test_an_object_is_a_file_and_what_is_before_a_slash_a_directory(s3: S3Client, gateway: Gateway) -> None:
    s3.put_object(Bucket=BUCKET, Key="a/b/c.json", Body=b"123")
    status, body = call(gateway, "GET", "a/b/c.json", op="GETFILESTATUS")
    assert (status, json.loads(body)["FileStatus"]["type"], json.loads(body)["FileStatus"]["length"]) == (
        200,
        "FILE",
        3,
    )
    _, body = call(gateway, "GET", "a/b", op="GETFILESTATUS")
    assert json.loads(body)["FileStatus"]["type"] == "DIRECTORY"
    assert names(gateway, "a") == [("b", "DIRECTORY")]
    assert names(gateway, "a/b") == [("c.json", "FILE")]


def test_what_is_not_there_is_file_not_found(gateway: Gateway) -> None:
    status, body = call(gateway, "GET", "nothing", op="GETFILESTATUS")
    assert status == 404
    assert json.loads(body)["RemoteException"]["exception"] == "FileNotFoundException"


def test_a_written_file_is_read_back_whole_and_in_part_under_any_name(s3: S3Client, gateway: Gateway) -> None:
    assert call(gateway, "PUT", ODD_KEY, b"0123456789", op="CREATE")[0] == 201
    assert s3.get_object(Bucket=BUCKET, Key=ODD_KEY)["Body"].read() == b"0123456789"
    assert call(gateway, "GET", ODD_KEY, op="OPEN") == (200, b"0123456789")
    assert call(gateway, "GET", ODD_KEY, op="OPEN", offset="3", length="4") == (200, b"3456")


def test_an_existing_file_is_not_overwritten_unless_asked(s3: S3Client, gateway: Gateway) -> None:
    s3.put_object(Bucket=BUCKET, Key="x", Body=b"old")
    assert call(gateway, "PUT", "x", b"new", op="CREATE", overwrite="false")[0] == 500
    assert s3.get_object(Bucket=BUCKET, Key="x")["Body"].read() == b"old"


def test_a_made_directory_exists_without_an_object(s3: S3Client, gateway: Gateway) -> None:
    call(gateway, "PUT", "out/_temporary/0", op="MKDIRS")
    assert names(gateway, "out") == [("_temporary", "DIRECTORY")]
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)


def test_a_renamed_directory_takes_its_objects_along(s3: S3Client, gateway: Gateway) -> None:
    for name in ("_temporary/1/part-0", "_temporary/1/deep/part-1"):
        s3.put_object(Bucket=BUCKET, Key=name, Body=name.encode())
    _, body = call(gateway, "PUT", "_temporary/1", op="RENAME", destination=f"/{BUCKET}/day=1")
    assert json.loads(body) == {"boolean": True}
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert keys == ["day=1/deep/part-1", "day=1/part-0"]


def test_a_rename_onto_a_file_is_refused(s3: S3Client, gateway: Gateway) -> None:
    for name in ("a", "b"):
        s3.put_object(Bucket=BUCKET, Key=name, Body=name.encode())
    assert json.loads(call(gateway, "PUT", "a", op="RENAME", destination=f"/{BUCKET}/b")[1]) == {"boolean": False}
    assert s3.get_object(Bucket=BUCKET, Key="b")["Body"].read() == b"b"


def test_a_deleted_directory_takes_only_what_is_in_it(s3: S3Client, gateway: Gateway) -> None:
    for name in ("day=1/a", "day=1/b/c", "day=10/a"):
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"")
    assert json.loads(call(gateway, "DELETE", "day=1", op="DELETE", recursive="true")[1]) == {"boolean": True}
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["day=10/a"]
    assert json.loads(call(gateway, "DELETE", "day=1", op="DELETE", recursive="true")[1]) == {"boolean": False}


@pytest.mark.parametrize(
    ("operation", "method", "query"),
    [
        ("HeadObject", "GET", {"op": "GETFILESTATUS"}),
        ("ListObjectsV2", "GET", {"op": "LISTSTATUS"}),
        ("PutObject", "PUT", {"op": "CREATE"}),
        ("DeleteObjects", "DELETE", {"op": "DELETE", "recursive": "true"}),
    ],
)
def test_what_iam_denies_is_an_error_and_never_a_missing_file(
    s3: S3Client, gateway: Gateway, operation: str, method: str, query: dict[str, str]
) -> None:
    s3.put_object(Bucket=BUCKET, Key="secret/x", Body=b"1")
    deny(s3, operation)
    status, body = call(gateway, method, "secret", b"2" if method == "PUT" else None, **query)
    assert status == 403
    error = json.loads(body)["RemoteException"]
    assert error["javaClassName"] == "org.apache.hadoop.security.AccessControlException"
    assert "AccessDenied" in error["message"]
