"""The stacks of one stage, by life cycle, and its typed configuration."""
