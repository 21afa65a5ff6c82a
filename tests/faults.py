"""AWS calls that are counted and, at will, fail, are overtaken, or are the last ones of a process that dies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from boto3.exceptions import Boto3Error
from botocore.exceptions import ClientError

CHANGING = frozenset(
    [
        "PutObject",
        "CopyObject",
        "DeleteObject",
        "DeleteObjects",
        "UpdateItem",
        "PutItem",
        "DeleteItem",
        "TransactWriteItems",
        "Publish",
        "PutRecordBatch",
    ]
)


class DeadError(ClientError):
    """The process is gone: what it would call yet is not called."""

    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "Dead", "Message": "the process is gone"}}, "AnyCall")


INTERRUPTED = (ClientError, Boto3Error)
_NEVER = 10**9


@dataclass
class Interrupted:
    """While it is entered, the `at`-th call of the clients fails, once; or dies, or loses its answer, having taken
    effect.

    `calls` fills with the names of the calls; only those named in `only` are counted.
    """

    clients: Iterable[Any]
    at: int = _NEVER
    dies: bool = False
    loses: bool = False
    only: Collection[str] | None = None
    watch: Callable[[], object] = lambda: None
    """Called before each call that counts."""
    calls: list[str] = field(default_factory=list)
    _dead: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _own: threading.local = field(default_factory=threading.local)

    def __enter__(self) -> Self:
        for client in self.clients:
            client.meta.events.register_first("before-send", self._before, unique_id="interrupt-before")
            client.meta.events.register("after-call", self._after, unique_id="interrupt-after")
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.meta.events.unregister("before-send", unique_id="interrupt-before")
            client.meta.events.unregister("after-call", unique_id="interrupt-after")

    def _before(self, event_name: str, **_: Any) -> None:
        name = event_name.rsplit(".", 1)[-1]
        with self._lock:
            self._own.number = 0
            if self._dead:
                raise DeadError
            if self.only is not None and name not in self.only:
                return
            self.watch()
            self.calls.append(name)
            self._own.number = len(self.calls)
        if self._own.number == self.at and not (self.dies or self.loses):
            raise ClientError({"Error": {"Code": "InternalError", "Message": "try again"}}, name)

    def _after(self, **_: Any) -> None:
        if self.dies and self._own.number == self.at:
            self._dead = True
            raise DeadError
        if self.loses and self._own.number == self.at:
            raise ClientError({"Error": {"Code": "RequestTimeout", "Message": "no answer"}}, "AnyCall")


@contextmanager
def watched(clients: Iterable[Any], before: Callable[[list[str]], None]) -> Iterator[list[str]]:
    """Calls `before` ahead of each AWS call, with the names of all up to it. It may make calls itself."""
    clients, calls = list(clients), list[str]()

    def before_send(event_name: str, **_: Any) -> None:
        calls.append(event_name.rsplit(".", 1)[-1])
        before(calls)

    for client in clients:
        client.meta.events.register_first("before-send", before_send, unique_id="watched")
    try:
        yield calls
    finally:
        for client in clients:
            client.meta.events.unregister("before-send", unique_id="watched")
