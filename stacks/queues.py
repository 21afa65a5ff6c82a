"""Our queues: what they all have, in one place."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs

from stacks.base import AtlasStack


def queue(
    stack: AtlasStack,
    construct_id: str,
    *,
    name: str,
    timeout_seconds: int | None = None,
    dead_letters: sqs.DeadLetterQueue | None = None,
    most_bytes: int | None = None,
) -> sqs.Queue:
    """A queue that keeps messages for fourteen days, encrypted as the stage says, and speaks TLS only.

    `timeout_seconds` is that of the function that takes from it; `most_bytes` what a message may have.
    """
    made = sqs.Queue(
        stack,
        construct_id,
        queue_name=name,
        # AWS's advice: six times the function's timeout, so that no message is handed out twice at once.
        visibility_timeout=Duration.seconds(6 * timeout_seconds) if timeout_seconds else None,
        retention_period=Duration.days(14),
        dead_letter_queue=dead_letters,
        max_message_size_bytes=most_bytes,
        enforce_ssl=True,
    )
    # Set on the resource itself: to a queue that it knows to have a key, the CDK lets every rule send.
    plain = made.node.default_child
    assert isinstance(plain, sqs.CfnQueue)  # noqa: S101 - for the type checker
    if stack.key_arn is None:
        plain.sqs_managed_sse_enabled = True
    else:
        plain.kms_master_key_id = stack.key_arn
    return made
