"""What everything of a stage is tagged with: by that it is told apart, on the bill too."""

from __future__ import annotations

from aws_cdk import App, CfnResource, Tags

_PROVIDER = "CustomResourceProvider"
"""How the CDK's ids of its own helper functions end."""


def tags(stage: str) -> dict[str, str]:
    """Keys and values of a stage's tags."""
    return {"project": "atlas", "stage": stage}


def tag_everything(app: App, stage: str) -> None:
    """Tags every resource of the app that can be, once all of them are there."""
    marks = tags(stage)
    for key, value in marks.items():
        Tags.of(app).add(key, value)
    # Helpers of the CDK are resources without types, which its tags pass by.
    written = [{"Key": key, "Value": value} for key, value in marks.items()]
    for stack in app.node.children:
        for helper in stack.node.children:
            if helper.node.id.endswith(_PROVIDER):
                for resource in helper.node.children:
                    if isinstance(resource, CfnResource):
                        resource.add_property_override("Tags", written)
