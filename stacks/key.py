"""The stage's own key, where `encryption` is `customer`: what is at rest is encrypted with it.

Roles get their share of it from their own policies (stacks/roles.py), which the key leaves to IAM. Here are the
services that use it by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_ssm as ssm

from stacks.base import AtlasStack


def stage_key(stack: AtlasStack, removal: RemovalPolicy) -> kms.Key:
    """The key, its alias, and the parameter by which the other stacks know it.

    AWS makes new material for it every year and keeps the old. If it is removed it can be called back for 30 days;
    after that, what it has encrypted is lost.
    """
    key = kms.Key(
        stack,
        "Key",
        alias=stack.names.key_alias,
        description=f"Atlas, {stack.config.stage}: what is at rest",
        enable_key_rotation=True,
        removal_policy=removal,
    )
    for statement in _services(stack):
        key.add_to_resource_policy(statement)
    ssm.StringParameter(
        stack,
        "KeyArn",
        parameter_name=stack.names.key_parameter,
        string_value=key.key_arn,
        description="The key of the stage, for its other stacks",
    )
    return key


def _services(stack: AtlasStack) -> list[iam.PolicyStatement]:
    arns, names = stack.arns, stack.names
    publish = ["kms:GenerateDataKey*", "kms:Decrypt"]
    ours = {"StringEquals": {"aws:SourceAccount": stack.account}}
    return [
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        _use(
            "LogGroups",
            f"logs.{stack.region}.amazonaws.com",
            ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            {
                "ArnEquals": {
                    "kms:EncryptionContext:aws:logs:arn": [arns.log_group(name) for name in names.log_groups]
                }
            },
        ),
        # What lands in the bucket, into the encrypted queues. Not by aws:SourceAccount: AWS says of EventBridge and
        # topics that the request to the key does not carry it, so we go by what SQS itself says of the queue.
        # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
        _use(
            "FilesIntoQueues",
            "events.amazonaws.com",
            ["kms:GenerateDataKey", "kms:Decrypt"],
            {
                "ArnEquals": {
                    "kms:EncryptionContext:aws:sqs:arn": [arns.ingest_queue, arns.ingest_dead_letter_queue]
                }
            },
        ),
        # Their policy on the topic is not enough if the topic is encrypted: the same page of SNS, and
        # https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-sns-policy.html
        _use("AlarmsIntoTheTopic", "cloudwatch.amazonaws.com", publish, ours),
        _use("BudgetIntoTheTopic", "budgets.amazonaws.com", publish, ours),
    ]


def _use(sid: str, service: str, actions: list[str], conditions: Mapping[str, Any]) -> iam.PolicyStatement:
    """Of a key's policy, `*` is the key itself."""
    return iam.PolicyStatement(
        sid=sid,
        principals=[iam.ServicePrincipal(service)],
        actions=actions,
        resources=["*"],
        conditions=conditions,
    )
