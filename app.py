"""Builds the stacks of one stage: `cdk synth -c stage=dev`."""

from __future__ import annotations

import sys

from aws_cdk import App

from stacks.config import ConfigError, StageConfig
from stacks.layer import LayerError
from stacks.npm import PackagesError
from stacks.stage import build_stage


def main() -> None:
    """Synthesize the stage that the context names."""
    app = App()
    context = {name: app.node.try_get_context(name) for name in ("stages", "defaults")}
    try:
        build_stage(app, StageConfig.load(app.node.try_get_context("stage"), context))
    except (ConfigError, LayerError, PackagesError) as fault:
        sys.exit(f"atlas: {fault}")
    app.synth()


if __name__ == "__main__":
    main()
