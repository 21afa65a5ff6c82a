"""The alarms, the dashboard and the budget: what watches the other stacks, and changes nothing in them."""

from __future__ import annotations

from constructs import Construct

from stacks.alarms import alarms
from stacks.base import AtlasStack
from stacks.budget import budget
from stacks.config import StageConfig
from stacks.dashboard import dashboard


class MonitoringStack(AtlasStack):
    """Redeployable at any time; it knows what it watches by name."""

    def __init__(self, scope: Construct, config: StageConfig) -> None:
        super().__init__(scope, "Monitoring", config=config, description="alarms, dashboard, budget")
        dashboard(self, alarms(self))
        budget(self)
