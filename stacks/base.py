"""What every stack of a stage has: its configuration, names and ARNs."""

from __future__ import annotations

from aws_cdk import Environment, RemovalPolicy, Stack
from aws_cdk import aws_logs as logs
from constructs import Construct

from atlas.names import Names
from stacks.arns import Arns
from stacks.config import StageConfig


class AtlasStack(Stack):
    """A stack of one stage, named `Atlas-<Stage>-<part>`."""

    def __init__(self, scope: Construct, part: str, *, config: StageConfig, description: str) -> None:
        super().__init__(
            scope,
            f"Atlas-{config.stage.capitalize()}-{part}",
            env=Environment(account=config.account, region=config.region),
            description=f"Atlas, {config.stage}: {description}",
        )
        self.config = config
        self.names = Names(config.stage)
        self.arns = Arns(self, config)

    def log_group(self, construct_id: str, name: str) -> logs.LogGroup:
        """A log group that keeps its lines as long as the stage says."""
        group = logs.LogGroup(self, construct_id, log_group_name=name, removal_policy=RemovalPolicy.DESTROY)
        plain = group.node.default_child
        assert isinstance(plain, logs.CfnLogGroup)  # noqa: S101 - for the type checker
        plain.retention_in_days = self.config.retention.logs_days  # a number; the CDK's enum has names
        return group
