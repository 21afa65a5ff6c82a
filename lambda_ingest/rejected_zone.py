"""Shows refused files, as they came and with their reasons, in the rejected zone."""

from __future__ import annotations

from atlas import lake
from atlas.file_entry import FileEntry
from atlas.ledger import FileState
from atlas.reasons import FileReason
from lambda_ingest.ledger_writer import LedgerWriter
from lambda_ingest.objects import LakeObjects


class RejectedZone:
    """Has the zone hold a file and its reason exactly while the file's last version is refused."""

    def __init__(self, objects: LakeObjects, ledger: LedgerWriter) -> None:
        self._objects = objects
        self._ledger = ledger

    def show(self, bucket: str, entry: FileEntry) -> None:
        """Brings the zone up to date with a file's entry.

        Whoever changes the entry comes by here afterwards, and looks at it again, so that of two the last one wins.
        """
        seen: FileEntry | None = entry
        while seen and seen.once_refused:
            shown = lake.rejected_file_key(seen.raw_key), lake.reason_key(seen.raw_key)
            if seen.state is FileState.REJECTED:
                self._objects.copy_key(bucket, seen.copied_to, shown[0])
                self._objects.put_document(bucket, shown[1], _reason(seen))
            else:
                self._objects.delete(bucket, shown)
            now = self._ledger.entry(seen.raw_key)
            seen = now if now and now.revision != seen.revision else None


def _reason(entry: FileEntry) -> dict[str, object]:
    """The document beside a refused file."""
    assert entry.reason is not None  # noqa: S101 - a refused entry has one
    return {
        "raw_key": entry.raw_key,
        "version": entry.version,
        "reason": entry.reason,
        "meaning": FileReason(entry.reason).meaning,
        "place": entry.place or "",
        "format": entry.format,
        "size": entry.size,
        "records_read": entry.records_read,
        "records_refused": entry.records_refused,
        "landed_at": entry.landed_at,
    }
