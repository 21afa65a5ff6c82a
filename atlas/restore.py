"""Validated objects that are gone: a run of their day has ingestion write them anew, from the archive.

They expire after a while (`retention.validated_days`), and a late file, a correction or a replay makes their day be
processed again later than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from atlas import lake
from atlas.clients import Clients
from atlas.ledger import DayFile
from atlas.manifest import Manifest
from atlas.objects import AT_ONCE, list_keys
from atlas.orders import Order, OrderKind
from atlas.settings import JobSettings

_BATCH = 10
"""Messages a call: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""


class ValidatedGoneError(Exception):
    """Validated objects that the day needs are not there. They have been ordered: the same run later finds them."""


class OrderNotTakenError(Exception):
    """The queue did not take an order; the next run of the day gives it again."""


def check_all_there(manifest: Manifest, settings: JobSettings, clients: Clients) -> None:
    """Sees to it that every object of the manifest is in the bucket, before any work is done.

    Raises ValidatedGoneError, once ingestion has been ordered to write those that are not.
    """
    gone = _gone(manifest, settings, clients)
    if not gone:
        return
    _order(gone, settings, clients)
    raise ValidatedGoneError(
        f"validated objects of {len(gone)} of the {len(manifest.files)} files of {settings.process_date} are gone, "
        f"of {gone[0].raw_key} among others. Ingestion has been ordered to write them anew from the archive. When "
        "it has, process the day again, as the sweep does"
    )


def _gone(manifest: Manifest, settings: JobSettings, clients: Clients) -> list[DayFile]:
    """The files of the manifest that lack an object, in the order of their keys.

    A listing of the day's folders takes a call for a thousand objects. Nothing is read because it is listed.
    """
    prefixes = [lake.validated_prefix(name, settings.process_date) for name in manifest.objects_by_format()]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        listed = pool.map(lambda prefix: list(list_keys(clients.s3, settings.bucket, prefix)), prefixes)
        there = set(chain.from_iterable(listed))
    lacking = (file for file in manifest.files if not there.issuperset(file.objects()))
    return sorted(lacking, key=lambda file: file.raw_key)


def _order(files: Sequence[DayFile], settings: JobSettings, clients: Clients) -> None:
    """Puts an order for each file into the queue of ingestion. A repeated one is obeyed to the same end."""
    queue = clients.sqs.get_queue_url(QueueName=settings.ingest_queue)["QueueUrl"]

    def send(start: int) -> None:
        some = files[start : start + _BATCH]
        messages = [
            {"Id": str(number), "MessageBody": _restoration(file, settings).to_message()}
            for number, file in enumerate(some)
        ]
        answer = clients.sqs.send_message_batch(QueueUrl=queue, Entries=messages)
        for failed in answer.get("Failed", ()):
            file = some[int(failed["Id"])]
            raise OrderNotTakenError(f"the order to restore {file.raw_key} was not taken by {queue}: {failed}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(send, range(0, len(files), _BATCH)))


def _restoration(file: DayFile, settings: JobSettings) -> Order:
    return Order(OrderKind.RESTORE, file.raw_key, file.version, file.landed_at, settings.run_id)
