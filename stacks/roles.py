"""Roles that hold exactly the statements written for them.

The `grant_*` helpers of the CDK allow whole families of actions (`s3:GetObject*`, `s3:List*`). Here each action
is written out, and the constructs that use a role cannot add to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_iam as iam
from constructs import Construct

from atlas.names import Names


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    conditions: Mapping[str, Any] | None = None,
) -> iam.PolicyStatement:
    """One statement that allows some actions on some resources; `sid` says what for."""
    return iam.PolicyStatement(sid=sid, actions=actions, resources=resources, conditions=conditions)


def listing(sid: str, bucket: str, *prefixes: str) -> iam.PolicyStatement:
    """Listing the lake's bucket, under some prefixes only (with or without the slash at their end)."""
    patterns = [form for prefix in prefixes for form in (prefix + "*", prefix.rstrip("/"))]
    return allow(sid, ["s3:ListBucket"], [bucket], {"StringLike": {"s3:prefix": patterns}})


def counting(sid: str, names: Names) -> iam.PolicyStatement:
    """Counting in the stage's metrics: they have no ARN, a namespace is all that can be told apart."""
    namespace = {"StringEquals": {"cloudwatch:namespace": names.metrics_namespace}}
    return allow(sid, ["cloudwatch:PutMetricData"], ["*"], namespace)


def service_role(
    scope: Construct,
    construct_id: str,
    *,
    name: str,
    service: str,
    description: str,
    statements: Sequence[iam.PolicyStatement],
    conditions: Mapping[str, Any] | None = None,
) -> iam.IRole:
    """A role of one service with one inline policy; nothing can be added to it later."""
    role = iam.Role(
        scope,
        construct_id,
        role_name=name,
        description=description,
        assumed_by=iam.ServicePrincipal(service, conditions=conditions),
        inline_policies={name: iam.PolicyDocument(statements=statements)},
    )
    return role.without_policy_updates()
