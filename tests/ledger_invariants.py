"""What holds of ledger and lake after any delivery: see `check`."""

from __future__ import annotations

from typing import Any

from atlas import lake as keys
from atlas.file_entry import FileEntry
from atlas.ledger import DayFile, FileState, Obsolete
from tests.lake_under_test import LakeUnderTest

_COUNTERS = ("revision", "changes", "claims")


def entries(lake: LakeUnderTest) -> dict[str, FileEntry]:
    """Every file's entry by raw key."""
    items = [item for item in lake.ledger_items() if item["pk"].startswith("FILE#")]
    return {item["raw_key"]: FileEntry.from_item(item) for item in items}


def check(lake: LakeUnderTest) -> None:
    """Files, days and hashes say the same; every object that is named is there, and no other but obsolete ones."""
    items, files = lake.ledger_items(), entries(lake)
    assert not [entry.raw_key for entry in files.values() if entry.committing or entry.replaces]
    days = [item for item in items if item["pk"].startswith("DAY#")]
    given = [DayFile.from_item(item) for item in days if item["sk"].startswith("FILE#")]
    assert sorted(given, key=_place) == sorted((d for e in files.values() for d in e.days()), key=_place)

    hashes = [item for item in items if item["pk"].startswith("HASH#")]
    contents = {key: entry.content for key, entry in files.items() if entry.content}
    owners = {content.content_hash: key for key, content in contents.items() if content.shares}
    assert {i["pk"].removeprefix("HASH#"): i["raw_key"] for i in hashes if i["sk"] == "FILE"} == owners
    claims = {(content.content_hash, key) for key, content in contents.items() if content.duplicate_of}
    assert {(i["pk"].removeprefix("HASH#"), i["raw_key"]) for i in hashes if i["sk"] != "FILE"} == claims
    assert {content_hash for content_hash, _ in claims} <= set(owners)
    assert all(bool(content.shares) != bool(content.duplicate_of) for content in contents.values())

    there = set(lake.objects())
    named = {key for file in given for key in file.objects()}
    validated = {key for key in there if key.startswith(keys.VALIDATED)}
    obsolete = {key for i in days if i["sk"].startswith("OBSOLETE#") for key in Obsolete.from_item(i).objects()}
    assert named <= validated
    assert not named & obsolete
    assert validated - named <= obsolete

    refused = [key for key, entry in files.items() if entry.state is FileState.REJECTED]
    shown = {name(key) for key in refused for name in (keys.rejected_file_key, keys.reason_key)}
    assert {key for key in there if key.startswith(keys.REJECTED_FILES)} == shown
    archived = {e.copied_to for e in files.values()} | {content.archived for content in contents.values()}
    assert archived <= there


def _place(file: DayFile) -> tuple[Any, str]:
    return file.day, file.raw_key


def state(lake: LakeUnderTest) -> dict[str, Any]:
    """Everything that a later stage reads: the ledger but for its counters, and all objects' contents."""
    items = [{k: v for k, v in item.items() if k not in _COUNTERS} for item in lake.ledger_items()]
    return {"ledger": items, "objects": lake.objects()}
