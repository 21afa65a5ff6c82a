"""The stacks of one stage, in the order in which they are deployed."""

from __future__ import annotations

from aws_cdk import App, Tags

from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.ingestion import IngestionStack
from stacks.jobs import JobsStack
from stacks.orchestration import OrchestrationStack


def build_stage(app: App, config: StageConfig) -> None:
    """Add the stacks of a stage to the app."""
    data = DataStack(app, config)
    jobs = JobsStack(app, config)
    orchestration = OrchestrationStack(app, config)
    ingestion = IngestionStack(app, config)
    # They find each other by name, so the order has to be said.
    ingestion.add_stack_dependency(data)
    jobs.add_stack_dependency(data)
    orchestration.add_stack_dependency(jobs)
    Tags.of(app).add("project", "atlas")
    Tags.of(app).add("stage", config.stage)
