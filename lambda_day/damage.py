"""Validated objects that cannot be read: whose they are and where, without what DuckDB quotes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from atlas import lake
from atlas.manifest import Manifest

# Malformed JSON in file "/tmp/.../validated/...", at byte 1 in line 2: ...
_PLACE = re.compile(rf'"[^"\n]*?(?P<key>{lake.VALIDATED}[^"\n]+)",(?P<where>[^:\n]*)')


class DamagedObjectError(Exception):
    """A validated object cannot be read. `file` is its raw key."""

    def __init__(self, key: str, how: str, file: str = "FILE") -> None:
        super().__init__(f"{key} is damaged ({how}). `atlas replay {file}` writes it anew, from the archive")
        self.key = key
        self.how = how


@contextmanager
def naming_files(manifest: Manifest) -> Iterator[None]:
    """Tells of each damaged object which file's it is. Raises DamagedObjectError."""
    files = {key: file.raw_key for file in manifest.files for key in file.objects()}
    try:
        yield
    except DamagedObjectError as fault:
        raise DamagedObjectError(fault.key, fault.how, files[fault.key]) from None
    except duckdb.Error as fault:
        found = _PLACE.search(str(fault))
        if found is None or found["key"] not in files:
            raise
        how = f"{type(fault).__name__}{found['where']}"
        raise DamagedObjectError(found["key"], how, files[found["key"]]) from None
