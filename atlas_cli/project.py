"""The project folder: cdk.json, the stacks, the sample data, and `.atlas/` with the local cloud's state."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "sample-dataset"
