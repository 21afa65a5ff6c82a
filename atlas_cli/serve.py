"""`atlas serve`: the query API and the page on this machine, with the caller's own credentials for AWS.

It listens on loopback only, and for one token, made up for as long as it runs. A request that came under any other
name than a loopback one is refused: a page of somebody else's whose name leads here (DNS rebinding) gets nothing.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from botocore.config import Config

from atlas.settings import QuerySettings
from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say
from lambda_query import gate
from lambda_query.app import Clients, create_app
from lambda_query.observed import Tell
from lambda_query.problems import ProblemError
from stacks import page
from stacks.config import StageConfig, read_context
from stacks.npm import PackagesError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

PORT = 8000
_LOOPBACK = "127.0.0.1"
_NAMES = (_LOOPBACK, "localhost")
_CLIENT = "atlas-serve"
_STARTS_SECONDS = 30


@dataclass(frozen=True)
class Served:
    """Where the API listens, and the token that it takes."""

    url: str
    token: str


def serve(cloud: Cloud, port: int, say: Say) -> None:
    """Serves until it is interrupted. Raises CommandError if the port is taken."""
    say.step("building the page, if it has changed")
    try:
        folder = page.folder()
    except PackagesError as fault:
        raise CommandError(str(fault)) from fault
    with _listening(port) as listening:
        served = Served(_url(listening), secrets.token_urlsafe(32))
        server = _server(application(cloud, served.token, _teller(say), folder))
        say.note(f"The page:  {served.url}/#token={served.token}")
        say.note(f"The API:   curl -H 'Authorization: Bearer {served.token}' {served.url}/freshness")
        say.note(f"Reference: {served.url}/docs")
        say.note("Until Ctrl-C, for this token only.")
        try:
            server.run(sockets=[listening])
        except KeyboardInterrupt:  # uvicorn has let running requests end
            say.step("stopped")


@contextmanager
def serving(cloud: Cloud, folder: Path | None = None) -> Iterator[Served]:
    """The same in a thread, on a free port, for as long as the block lasts. For tests and benchmarks."""
    with _listening(0) as listening:
        served = Served(_url(listening), secrets.token_urlsafe(32))
        server = _server(application(cloud, served.token, _nobody, folder))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.should_exit = True
            thread.join(_STARTS_SECONDS)


def application(cloud: Cloud, token: str, told: Tell, folder: Path | None) -> ASGIApp:
    """The API of a stage with one token, for requests that came under a loopback name."""
    settings = QuerySettings(
        bucket=cloud.bucket,
        database=StageConfig.load(cloud.stage, read_context()).database,
        workgroup=cloud.names.api_workgroup,
        stage=cloud.stage,
    )
    config = Config(retries={"mode": "standard"})
    clients = Clients(*(_client(cloud, name, config) for name in ("athena", "s3", "glue")))
    app: FastAPI = create_app(settings, clients, gate.by_token(token, _CLIENT), told, page=folder)
    return _only_loopback_names(app)


def _client(cloud: Cloud, name: Any, config: Config) -> Any:
    return cloud.session.client(name, config=config)


def _only_loopback_names(app: ASGIApp) -> ASGIApp:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_for_loopback(scope):
            refusal = ProblemError(421, f"This is served under the names {' and '.join(_NAMES)} only.")
            await refusal.answer()(scope, receive, send)
            return
        await app(scope, receive, send)

    return guarded


def _is_for_loopback(scope: Scope) -> bool:
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    return len(hosts) == 1 and hosts[0].partition(":")[0].lower() in _NAMES


def _listening(port: int) -> socket.socket:
    # asyncio sends without delay only where the socket itself says that it is TCP's.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((_LOOPBACK, port))
        listening.listen()  # who comes before the server has started waits for it
    except (OSError, OverflowError) as fault:
        listening.close()
        raise CommandError(f"port {port} cannot be listened on ({fault}): choose another, --port") from fault
    return listening


def _url(listening: socket.socket) -> str:
    return f"http://{_LOOPBACK}:{listening.getsockname()[1]}"


def _server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, server_header=False)
    )


def _teller(say: Say) -> Tell:
    def tell(facts: Mapping[str, Any]) -> None:
        told = dict(facts)
        head = f"{told.pop('status', '-')} {told.pop('method')} {told.pop('route')}"
        say.step(" ".join([head, *(f"{name}={value}" for name, value in told.items())]))

    return tell


def _nobody(_: Mapping[str, Any]) -> None:
    """Nobody is told."""
