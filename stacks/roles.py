"""Roles that hold exactly the statements written for them.

The `grant_*` helpers of the CDK allow whole families of actions (`s3:GetObject*`, `s3:List*`). Here each action
is written out, and the constructs that use a role cannot add to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from atlas.names import Names
from stacks.base import AtlasStack
from stacks.nag import acknowledge

_OBJECTS = (
    "Objects of the lake's own bucket, under one prefix: what follows it is made of days and of names that "
    "producers choose, so no narrower resource can be named before the object exists."
)
_STREAMS = "The streams of one log group of this stage: the service that writes the log names them as it goes."
_NAMESPACE = (
    "cloudwatch:PutMetricData supports no resources; the condition on cloudwatch:namespace holds it to the metrics "
    "of this stage."
)


@dataclass(frozen=True)
class Statement:
    """What a role may do; `sid` says what for."""

    sid: str
    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Mapping[str, Any] | None = None
    because: str | None = None
    """Why there is a `*` among the resources: the evidence that cdk-nag wants, and without which it fails."""

    @property
    def policy(self) -> iam.PolicyStatement:
        """As the CDK has it."""
        return iam.PolicyStatement(
            sid=self.sid, actions=self.actions, resources=self.resources, conditions=self.conditions
        )


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    conditions: Mapping[str, Any] | None = None,
    *,
    because: str | None = None,
) -> Statement:
    """One statement that allows some actions on some resources, `because` of what if one of them has a `*`."""
    return Statement(sid, actions, resources, conditions, because)


def allow_objects(sid: str, actions: Sequence[str], objects: Sequence[str]) -> Statement:
    """Some actions on the objects of some zones: see Arns.objects."""
    return Statement(sid, actions, objects, because=_OBJECTS)


def allow_logging(streams: Sequence[str]) -> Statement:
    """Writing to log groups that the stack declares: see Arns.log_streams."""
    return Statement("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], streams, because=_STREAMS)


def listing(sid: str, bucket: str, *prefixes: str) -> Statement:
    """Listing the lake's bucket, under some prefixes only (with or without the slash at their end)."""
    patterns = [form for prefix in prefixes for form in (prefix + "*", prefix.rstrip("/"))]
    return allow(sid, ["s3:ListBucket"], [bucket], {"StringLike": {"s3:prefix": patterns}})


def counting(sid: str, names: Names) -> Statement:
    """Counting in the stage's metrics: they have no ARN, a namespace is all that can be told apart."""
    namespace = {"StringEquals": {"cloudwatch:namespace": names.metrics_namespace}}
    return allow(sid, ["cloudwatch:PutMetricData"], ["*"], namespace, because=_NAMESPACE)


def service_role(
    stack: AtlasStack,
    construct_id: str,
    *,
    name: str,
    service: str,
    description: str,
    statements: Sequence[Statement],
    conditions: Mapping[str, Any] | None = None,
) -> iam.IRole:
    """A role of one service with one inline policy; nothing can be added to it later.

    Where the stage has a key of its own, the role may use it as far as its statements touch what is encrypted.
    """
    complete = [*statements, *key_statements(stack, statements)]
    role = iam.Role(
        stack,
        construct_id,
        role_name=name,
        description=description,
        assumed_by=iam.ServicePrincipal(service, conditions=conditions),
        inline_policies={name: iam.PolicyDocument(statements=[statement.policy for statement in complete])},
    )
    for finding, reason in _wildcards(stack, complete).items():
        acknowledge(role, finding, reason)
    return role.without_policy_updates()


_READ = frozenset({"kms:Decrypt"})
_WRITTEN = frozenset({"kms:Decrypt", "kms:GenerateDataKey"})
_KEY_ACTIONS: dict[str, frozenset[str]] = {
    # An upload in parts is put together from parts that were encrypted one by one, so a writer decrypts too:
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
    "s3:GetObject": _READ,
    "s3:GetObjectVersion": _READ,
    "s3:PutObject": _WRITTEN,
    # Whoever reads or writes has the table's key decrypted; DynamoDB does the rest by the grants that it was given
    # when the table was made: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
    "dynamodb:GetItem": _READ,
    "dynamodb:Query": _READ,
    "dynamodb:PutItem": _READ,
    "dynamodb:UpdateItem": _READ,
    "dynamodb:DeleteItem": _READ,
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html; an event
    # source receives in the name of the function's role: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    "sqs:ReceiveMessage": _READ,
    "sqs:SendMessage": _WRITTEN,
    # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    "sns:Publish": _WRITTEN,
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    "secretsmanager:GetSecretValue": _READ,
    "secretsmanager:PutSecretValue": _WRITTEN,
}
"""Which of the key's actions a call needs on what is encrypted with it. Calls that are not here open nothing."""


def key_statements(stack: AtlasStack, statements: Sequence[Statement]) -> list[Statement]:
    """What a role that may do `statements` needs of the stage's key: by way of those services only."""
    if stack.key_arn is None:
        return []
    needed: dict[str, set[str]] = {}
    for action in (action for statement in statements for action in statement.actions):
        if action in _KEY_ACTIONS:
            needed.setdefault(action.split(":", maxsplit=1)[0], set()).update(_KEY_ACTIONS[action])
    return [
        allow(
            f"UseTheKeyIn{service.capitalize()}",
            sorted(actions),
            [stack.key_arn],
            {"StringEquals": {"kms:ViaService": f"{service}.{stack.region}.amazonaws.com"}},
        )
        for service, actions in sorted(needed.items())
    ]


def _wildcards(stack: Stack, statements: Sequence[Statement]) -> dict[str, str]:
    """cdk-nag's findings on resources with a `*`, with the reasons of the statements that have one."""
    found: dict[str, list[str]] = {}
    for statement in statements:
        for resource in statement.resources if statement.because else ():
            reasons = found.setdefault(f"IAM5[Resource::{_spelt(stack.resolve(resource))}]", [])
            reasons.append(f"{statement.sid}: {statement.because}")
    return {finding: " ".join(reasons) for finding, reasons in found.items()}


def _spelt(value: Any) -> str:
    """A resolved ARN as cdk-nag spells it: references in angle brackets."""
    match value:
        case str(text):
            return text
        case {"Ref": str(name)}:
            return f"<{name}>"
        case {"Fn::Join": ["", list(parts)]}:
            return "".join(map(_spelt, parts))
        case _:
            raise ValueError(f"not an ARN made of text and references: {value}")
