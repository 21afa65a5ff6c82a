"""What every stack of a stage has: its configuration, names and ARNs, its key, and log groups."""

from __future__ import annotations

from functools import cached_property

from aws_cdk import Environment, RemovalPolicy, Stack
from aws_cdk import aws_logs as logs
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from atlas.names import Names
from stacks.arns import Arns
from stacks.config import StageConfig


class AtlasStack(Stack):
    """A stack of one stage, named `Atlas-<Stage>-<part>`; nobody deletes it by mistake where data is retained."""

    def __init__(self, scope: Construct, part: str, *, config: StageConfig, description: str) -> None:
        super().__init__(
            scope,
            f"Atlas-{config.stage.capitalize()}-{part}",
            env=Environment(account=config.account, region=config.region),
            description=f"Atlas, {config.stage}: {description}",
            termination_protection=config.removal == "retain",
        )
        self.config = config
        self.names = Names(config.stage)
        self.arns = Arns(self, config)

    @cached_property
    def key_arn(self) -> str | None:
        """The stage's own key; None where AWS's keys do. The data stack, which makes it, leaves its ARN for us."""
        if self.config.encryption == "aws":
            return None
        return ssm.StringParameter.value_for_string_parameter(self, self.names.key_parameter)

    def log_group(self, construct_id: str, name: str) -> logs.LogGroup:
        """A log group of `Names.log_groups`, which keeps its lines as long as the stage says."""
        group = logs.LogGroup(self, construct_id, log_group_name=name, removal_policy=RemovalPolicy.DESTROY)
        plain = group.node.default_child
        assert isinstance(plain, logs.CfnLogGroup)  # noqa: S101 - for the type checker
        plain.retention_in_days = self.config.retention.logs_days  # a number; the CDK's enum has names
        plain.kms_key_id = self.key_arn
        return group
