"""Every stack is held against cdk-nag's AWS Solutions rules whenever it is synthesized: a finding fails a deploy.

A finding that is right as it is gets acknowledged beside its resource, one by one and with the reason; a rule is
never switched off for a stack.
"""

from __future__ import annotations

from aws_cdk import Acknowledgment, App, Validations
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct

_PACK = "AwsSolutions"


def hold_to_the_rules(app: App) -> None:
    """Has all stacks of the app checked when they are synthesized."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))


def acknowledge(construct: IConstruct, finding: str, reason: str) -> None:
    """Accept one finding on one construct, such as `SF2`, or `IAM5[Resource::*]`."""
    Validations.of(construct).acknowledge(Acknowledgment(id=f"{_PACK}::{_PACK}-{finding}", reason=reason))
