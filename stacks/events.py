"""The events API: applications without files send events over HTTP, and find them in Athena within minutes."""

from __future__ import annotations

from aws_cdk import CfnOutput
from constructs import Construct

from stacks.base import AtlasStack
from stacks.config import StageConfig
from stacks.events_delivery import delivery
from stacks.events_gateway import gateway
from stacks.events_identity import identity


class EventsStack(AtlasStack):
    """Redeployable at any time: what has been accepted waits in the queue."""

    def __init__(self, scope: Construct, config: StageConfig) -> None:
        super().__init__(scope, "Events", config=config, description="events over HTTP into the lake")
        path = delivery(self)
        api = gateway(self, identity(self), path.requests)
        CfnOutput(self, "EventsApiUrl", value=api.url)
        CfnOutput(self, "EventsApiId", value=api.id)
        CfnOutput(self, "EventsUsagePlanId", value=api.usage_plan)
        CfnOutput(self, "EventsQueueUrl", value=path.requests.queue_url)
        CfnOutput(self, "EventsDeadLetterQueueUrl", value=path.dead_letters.queue_url)
        CfnOutput(self, "TokenFunction", value=self.names.token_function)
        CfnOutput(self, "AuthorizerFunction", value=self.names.authorizer_function)
        CfnOutput(self, "ForwarderFunction", value=self.names.forwarder_function)
        CfnOutput(self, "RotationFunction", value=self.names.rotation_function)
