"""How much a day takes up in each zone of the lake, for a byte of the text that producers wrote.

    python bench/sizes.py [--records N] [--json]

The day is that of bench/day.py: half of its records web access logs, half application events. docs/cost.md is
reckoned with what this says (atlas_cli/cost/figures.toml).
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
from pathlib import Path

from day import lake as linked
from day import made_day
from day_data import files_of_day, lines_of, pieces_of
from day_lake import clients, settings
from report import Table, machine, tell
from samples import CASES

from atlas import lake
from atlas.lake import parse_day
from lambda_day.limits import Limits
from lambda_day.process import process

RECORDS = 3_500_000
COLUMNS = {"what": ("", ""), "bytes": ("bytes", ",d"), "of_text": ("of the text", ".3f")}


def main() -> int:
    """Makes the day, has the function do it, and looks what lies where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=RECORDS, metavar="N")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    arguments = parser.parse_args()
    text = packed = 0
    for file in files_of_day(arguments.records):
        content = b"".join(pieces_of(lines_of(CASES[file.case], file)))
        text += len(content)
        packed += len(gzip.compress(content, 6, mtime=0))
    made = made_day(arguments.records)
    described = json.loads((made / "day.json").read_text())
    with linked(made) as folder, tempfile.TemporaryDirectory() as scratch:
        day = parse_day(described["ledger"][0]["day"])
        process(settings(day), clients(folder), Limits.of(3008, 900_000), Path(scratch))

        def under(prefix: str) -> int:
            return sum(path.stat().st_size for path in (folder / "bucket" / prefix).rglob("*") if path.is_file())

        sizes = {
            "text": text,
            "as producers upload it, gzipped": packed,
            "text of the envelopes": described["envelope_bytes"],
            "validated": under(lake.VALIDATED),
            "silver": under(lake.LOGS),
            "refused records": under(lake.REJECTED_RECORDS),
            "gold": under(lake.ANALYTICS),
            "manifest": under(lake.MANIFESTS),
        }
    rows = [{"what": what, "bytes": size, "of_text": size / text} for what, size in sizes.items()]
    about = machine()
    return tell([Table(rows, COLUMNS, f"{arguments.records:,} records")], about, [], as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
