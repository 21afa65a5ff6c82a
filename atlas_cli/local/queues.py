"""SQS: how long a message may be, and how many of them a function gets at once.

A function's batching window (`MaximumBatchingWindowInSeconds`) ministack does not wait for: a function is called as
soon as there is something.
"""

from __future__ import annotations

from typing import Any

from ministack.services import sqs

_MOST_BYTES = 6 * 1024 * 1024
"""Of a batch: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""


def install() -> None:
    """Close the gaps."""
    _attributes_have_a_length()
    _batches_of_any_size()


def length(body: str, attributes: dict[str, dict[str, Any]]) -> int:
    """How many bytes a message has: its body, and each attribute's name, type and value."""
    texts = [body]
    for name, attribute in attributes.items():
        texts += [name, attribute.get("DataType") or "", attribute.get("StringValue") or ""]
    return sum(len(text.encode()) for text in texts)


def _attributes_have_a_length() -> None:
    """On AWS a message's attributes count towards its size; ministack counts the body.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
    """
    send = sqs._act_send_message

    def send_message(data: dict[str, Any], url: str) -> Any:
        queue = sqs._get_q(data.get("QueueUrl", url), "sqs:SendMessage")
        most = int(queue["attributes"].get("MaximumMessageSize", 1_048_576))
        if length(data.get("MessageBody") or "", data.get("MessageAttributes") or {}) > most:
            reason = f"One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."
            raise sqs._Err("InvalidParameterValue", reason)
        return send(data, url)

    sqs._act_send_message = send_message
    sqs._HANDLERS["SendMessage"] = send_message


def _batches_of_any_size() -> None:
    """A function gets up to its `BatchSize` of messages, and up to 6 MB; ministack gives ten at most."""

    def receive_messages(url: str, most: int) -> list[dict[str, Any]]:
        with sqs._queues_lock:
            queue = sqs._get_q(url)
            visibility = int(queue["attributes"].get("VisibilityTimeout", "30"))
            sqs._expire_retained(queue)
            sqs._dlq_sweep(queue)
            batch: list[dict[str, Any]] = []
            size = 0
            while len(batch) < most and size < _MOST_BYTES:
                taken = sqs._collect_msgs(queue, 1, visibility)
                if not taken:
                    break
                batch += taken
                size += length(taken[0]["body"], taken[0].get("message_attributes") or {})
            return batch

    sqs._receive_messages_for_esm = receive_messages
