"""`atlas generate`: synthetic logs of every format, seeded, with the truth about them.

model.py     a day's traffic, from people.py (who comes) and catalog.py (what they ask for)
formats.py   each format: a function over the traffic, registered in FORMATS
files.py     the files, with the troubles that are planted
truth.py     what the books must say; readme.py says it to people
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from atlas_cli.generate.files import build
from atlas_cli.generate.readme import readme
from atlas_cli.generate.truth import Truth, tell

__all__ = ["DEFAULT_DAYS", "DEFAULT_RECORDS", "DEFAULT_SEED", "EXPECTED", "MIN_RECORDS", "Truth", "generate"]

DEFAULT_SEED = 20241129
DEFAULT_DAYS = (date(2024, 11, 29), date(2024, 11, 30))
DEFAULT_RECORDS = 4000
MIN_RECORDS = 200
"""A day of fewer has no room for the troubles."""

EXPECTED = "expected.json"


def generate(
    directory: Path,
    *,
    seed: int = DEFAULT_SEED,
    days: Sequence[date] = DEFAULT_DAYS,
    records_per_day: int = DEFAULT_RECORDS,
) -> Truth:
    """Write each day's files to `directory`/<day>/, and expected.json and README.md beside them.

    The same arguments give the same bytes everywhere; for gzip files that is promised of what is inside,
    because builds of zlib differ. Files that are there are replaced, others are left alone. Raises ValueError
    if there is no day, or too few records to hold the troubles.
    """
    if not days:
        raise ValueError("no day to generate: give at least one, such as 2024-11-29")
    if records_per_day < MIN_RECORDS:
        raise ValueError(f"{records_per_day} records a day are too few: at least {MIN_RECORDS} are needed")
    chosen = sorted(set(days))
    files = build(seed, chosen, records_per_day)
    for file in files:
        path = directory / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
    truth = tell(seed, chosen, records_per_day, files)
    (directory / EXPECTED).write_bytes(truth.to_json().encode())
    (directory / "README.md").write_bytes(readme(truth).encode())
    return truth
