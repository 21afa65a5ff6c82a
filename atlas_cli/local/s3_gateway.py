"""WebHDFS over S3: how a local Spark reads and writes `s3://` with the jars that PySpark brings.

On AWS, Glue's Spark has an S3 file system. PySpark from PyPI has none, but it has a WebHDFS client. This
gateway speaks WebHDFS on loopback and answers from the live bucket, with the job role's credentials, so
that Spark and the job's own boto3 calls see one and the same bucket, and IAM decides about both.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from botocore.exceptions import ClientError

from atlas_cli.local.objects import BucketFiles, Entry

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_API = "/webhdfs/v1"
_BLOCK = 128 * 1024 * 1024  # what Spark takes for its split size; S3A's and EMRFS's order of magnitude
_DENIED = {"403", "AccessDenied", "Forbidden"}
_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchBucket"}
_EXCEPTIONS = {
    403: "org.apache.hadoop.security.AccessControlException",
    404: "java.io.FileNotFoundException",
    400: "java.lang.IllegalArgumentException",
    500: "java.io.IOException",
}


class Gateway:
    """A running gateway. `port` is its loopback port; `close()` ends it."""

    def __init__(self, s3: S3Client) -> None:
        self._s3 = s3
        self._buckets: dict[str, BucketFiles] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.files))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        serve = self._server.serve_forever
        threading.Thread(target=serve, args=(0.05,), name="s3-gateway", daemon=True).start()

    def files(self, bucket: str) -> BucketFiles:
        """The files of one bucket; made once, since it remembers the directories of this run."""
        with self._lock:
            return self._buckets.setdefault(bucket, BucketFiles(self._s3, bucket))

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


def hadoop_settings(port: int, buckets: list[str]) -> dict[str, str]:
    """Spark settings that mount each bucket's `s3://` and `s3a://` on the gateway at `port`."""
    view = "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"
    settings = {f"spark.hadoop.fs.{scheme}.impl": view for scheme in ("s3", "s3a")}
    for bucket in buckets:
        target = f"webhdfs://127.0.0.1:{port}/{bucket}"
        settings[f"spark.hadoop.fs.viewfs.mounttable.{bucket}.linkFallback"] = target
    return settings


def _handler(files: Callable[[str], BucketFiles]) -> type[BaseHTTPRequestHandler]:
    class Handler(_WebHdfs):
        bucket_files = staticmethod(files)

    return Handler


class _WebHdfs(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket_files: Callable[[str], BucketFiles]

    def setup(self) -> None:
        super().setup()
        # Hadoop waits for each small answer; without this Nagle's algorithm adds 40 ms to every one.
        self.connection.setsockopt(6, 1, 1)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it)
        """Say nothing: Spark's log has what matters."""

    def do_GET(self) -> None:
        self._dispatch(_GET)

    def do_PUT(self) -> None:
        self._dispatch(_PUT)

    def do_DELETE(self) -> None:
        self._dispatch(_DELETE)

    def _dispatch(self, operations: dict[str, Callable[[_WebHdfs], None]]) -> None:
        # Java sends the path's letters as raw UTF-8, which http.server has read as Latin-1.
        url = urlsplit(self.path.encode("latin-1").decode())
        self.query = {k.lower(): v[-1] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
        full = unquote(url.path.removeprefix(_API)).strip("/")
        bucket, _, self.key = full.partition("/")
        self.files = self.bucket_files(bucket)
        operation = self.query.get("op", "").upper()
        body = self._body() if self.query.get("data") == "true" else None
        try:
            with body or tempfile.SpooledTemporaryFile() as self.upload:
                action = operations.get(operation)
                if action is None:
                    raise NotImplementedError(f"{self.command} {operation} is not part of the gateway")
                action(self)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            status = 403 if code in _DENIED else 404 if code in _MISSING else 500
            # A HEAD has no body to name its error; a job's log should say what S3 says elsewhere.
            self._refuse(status, f"{'AccessDenied' if status == 403 else code}: {error} (s3://{full})")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # a reader that seeks hangs up in the middle of an answer
        except FileNotFoundError as error:
            self._refuse(404, str(error))
        except (OSError, NotImplementedError) as error:
            self._refuse(500, str(error))

    def _body(self) -> IO[bytes]:
        """The request's body, in memory while it is small. Spark sends it in chunks."""
        spool: Any = tempfile.SpooledTemporaryFile(max_size=16 * 1024 * 1024)  # noqa: SIM115 (the caller closes it)
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                spool.write(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():  # trailers
                pass
        else:
            spool.write(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        spool.seek(0)
        return spool  # type: ignore[no-any-return]

    def _answer(self, document: object, status: int = 200) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, message: str) -> None:
        java = _EXCEPTIONS[status]
        name = java.rsplit(".", 1)[-1]
        self._answer({"RemoteException": {"exception": name, "javaClassName": java, "message": message}}, status)

    def _redirect(self) -> None:
        """HDFS sends the client from its name node to a data node; here both are this server."""
        host = f"http://127.0.0.1:{self.server.server_address[1]}"  # type: ignore[index]
        self.send_response(307)
        path = quote(self.path.encode("latin-1"), safe="/%?&=:;,+!*'()~@$")
        self.send_header("Location", f"{host}{path}&data=true")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _existing(self) -> Entry:
        entry = self.files.status(self.key)
        if entry is None:
            raise FileNotFoundError(f"/{self.key} does not exist")
        return entry


def _file_status(handler: _WebHdfs) -> None:
    entry = handler._existing()
    handler._answer({"FileStatus": _document(entry, "")})


def _listing(handler: _WebHdfs) -> list[dict[str, object]]:
    entry = handler._existing()
    if not entry.is_dir:
        return [_document(entry, "")]
    return [_document(child, child.name) for child in handler.files.children(handler.key)]


def _list(handler: _WebHdfs) -> None:
    handler._answer({"FileStatuses": {"FileStatus": _listing(handler)}})


def _list_batch(handler: _WebHdfs) -> None:
    statuses = {"FileStatuses": {"FileStatus": _listing(handler)}}
    handler._answer({"DirectoryListing": {"partialListing": statuses, "remainingEntries": 0}})


def _open(handler: _WebHdfs) -> None:
    if handler.query.get("data") != "true":
        handler._redirect()  # what is not there is found out where it leads to: one call of S3 instead of two
        return
    offset = int(handler.query.get("offset", 0))
    length = int(handler.query["length"]) if "length" in handler.query else None
    size, body = handler.files.read(handler.key, offset, length)
    handler.send_response(200)
    handler.send_header("Content-Type", "application/octet-stream")
    handler.send_header("Content-Length", str(size))
    handler.end_headers()
    with closing(body):
        shutil.copyfileobj(body, handler.wfile, 1024 * 1024)


def _create(handler: _WebHdfs) -> None:
    if handler.query.get("data") != "true":
        if handler.query.get("overwrite", "true") == "false" and handler.files.status(handler.key) is not None:
            raise OSError(f"/{handler.key} already exists")
        handler._redirect()
        return
    handler.files.write(handler.key, handler.upload)
    handler._answer({}, 201)


def _mkdirs(handler: _WebHdfs) -> None:
    handler.files.make(handler.key)
    handler._answer({"boolean": True})


def _rename(handler: _WebHdfs) -> None:
    target = handler.query["destination"].strip("/").partition("/")[2]  # its first part is the bucket
    handler._answer({"boolean": handler.files.rename(handler.key, target)})


def _delete(handler: _WebHdfs) -> None:
    recursive = handler.query.get("recursive", "false") == "true"
    handler._answer({"boolean": handler.files.delete(handler.key, recursive)})


def _content_summary(handler: _WebHdfs) -> None:
    entry = handler._existing()
    found = list(handler.files.tree(handler.key)) if entry.is_dir else [entry]
    size = sum(e.size for e in found)
    counts = {"fileCount": len(found), "directoryCount": int(entry.is_dir), "length": size}
    handler._answer({"ContentSummary": {**counts, "quota": -1, "spaceConsumed": size, "spaceQuota": -1}})


def _block_locations(handler: _WebHdfs) -> None:
    """No host is nearer to an object than another."""
    blocks: dict[str, object] = {"fileLength": 0, "isUnderConstruction": False, "isLastBlockComplete": True}
    handler._answer({"LocatedBlocks": {**blocks, "locatedBlocks": [], "lastLocatedBlock": None}})


def _home(handler: _WebHdfs) -> None:
    handler._answer({"Path": "/"})


def _acknowledge(handler: _WebHdfs) -> None:
    """Owners, modes and times mean nothing to S3."""
    handler._answer({})


def _document(entry: Entry, suffix: str) -> dict[str, object]:
    return {
        "pathSuffix": suffix,
        "type": "DIRECTORY" if entry.is_dir else "FILE",
        "length": entry.size,
        "blockSize": 0 if entry.is_dir else _BLOCK,
        "replication": 0 if entry.is_dir else 1,
        "modificationTime": entry.modified,
        "accessTime": entry.modified,
        "permission": "755" if entry.is_dir else "644",
        "owner": "atlas",
        "group": "atlas",
        "fileId": 0,
        "childrenNum": 0,
        "storagePolicy": 0,
    }


_GET: dict[str, Callable[[_WebHdfs], None]] = {
    "GETFILESTATUS": _file_status,
    "LISTSTATUS": _list,
    "LISTSTATUS_BATCH": _list_batch,
    "OPEN": _open,
    "GETCONTENTSUMMARY": _content_summary,
    "GET_BLOCK_LOCATIONS": _block_locations,
    "GETHOMEDIRECTORY": _home,
}
_PUT: dict[str, Callable[[_WebHdfs], None]] = {
    "CREATE": _create,
    "MKDIRS": _mkdirs,
    "RENAME": _rename,
    "SETPERMISSION": _acknowledge,
    "SETOWNER": _acknowledge,
    "SETTIMES": _acknowledge,
    "SETREPLICATION": lambda handler: handler._answer({"boolean": True}),
}
_DELETE: dict[str, Callable[[_WebHdfs], None]] = {"DELETE": _delete}
