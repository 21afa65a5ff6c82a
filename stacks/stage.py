"""The stacks of one stage, in the order in which they are deployed."""

from __future__ import annotations

from aws_cdk import App

from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.events import EventsStack
from stacks.ingestion import IngestionStack
from stacks.jobs import JobsStack
from stacks.monitoring import MonitoringStack
from stacks.nag import hold_to_the_rules
from stacks.orchestration import OrchestrationStack
from stacks.queries import QueriesStack
from stacks.tags import tag_everything


def build_stage(app: App, config: StageConfig) -> None:
    """Add the stacks of a stage to the app."""
    data = DataStack(app, config)
    jobs = JobsStack(app, config)
    orchestration = OrchestrationStack(app, config)
    ingestion = IngestionStack(app, config)
    events = EventsStack(app, config)
    queries = QueriesStack(app, config)
    monitoring = MonitoringStack(app, config)
    # They find each other by name, so the order has to be said.
    ingestion.add_stack_dependency(data)
    jobs.add_stack_dependency(data)
    events.add_stack_dependency(data)
    # Its role may read the signing key, and its gateway calls the function that gives tokens.
    queries.add_stack_dependency(events)
    orchestration.add_stack_dependency(jobs)
    # What tells how fresh gold is tells it before the alarm looks.
    monitoring.add_stack_dependency(orchestration)
    tag_everything(app, config.stage)
    hold_to_the_rules(app)
