"""`python -m atlas_cli.local.launcher FOLDER PORT`: the AWS emulator of the local cloud, in the foreground.

ministack on loopback, with IAM enforced and with its gaps closed. It holds a lock on FOLDER/emulator.lock for
as long as it lives, however it dies, which is how `emulator.py` knows whether it runs.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from atlas_cli.local import sealed


def main() -> None:
    """Serve until SIGTERM or SIGINT. Exits with a message if another emulator serves this folder."""
    folder, port = Path(sys.argv[1]).resolve(), int(sys.argv[2])
    held = _own(folder / "emulator.lock")
    if held is None:
        raise SystemExit(f"another emulator serves {folder}")
    configure(folder, port)
    serve(folder, port)


def hold(path: Path, shared: bool = False) -> IO[str] | None:
    """Lock a file until the returned handle is closed or this process ends; None if another holds it.

    The kernel lets go of it when the process is gone, however it went; and a process that merely got the same
    id later does not hold it.
    """
    handle = path.open("a")
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def _own(path: Path) -> IO[str] | None:
    """The lock; a little later if someone is just looking whether it is held."""
    deadline = time.monotonic() + 1.0
    while (held := hold(path)) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


def configure(folder: Path, port: int) -> None:
    """Set the environment that ministack reads when it is imported."""
    scratch = folder / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(scratch)
    os.environ.update(sealed.variables(port))
    os.environ.update(ministack_settings(folder, port))
    os.environ["TMPDIR"] = str(scratch)


def ministack_settings(folder: Path, port: int) -> dict[str, str]:
    """What ministack reads from its environment; `folder` is absolute."""
    return {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",  # ministack's default is every interface
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_ACCOUNT_ID": sealed.ACCOUNT,
        "MINISTACK_REGION": sealed.REGION,
        "AUTH": "true",  # IAM policies decide, as on AWS
        "IOT_MTLS_ENABLED": "0",  # else it listens on 8883 too
        "SFTP_ENABLED": "0",
        "S3_DATA_DIR": str(folder / "s3"),
        "STATE_DIR": str(folder / "ministack"),
        "LAMBDA_EXECUTOR": "local",
        "DOCKER_HOST": f"unix://{folder}/no-docker.sock",  # containers are none of our business
    }


def serve(folder: Path, port: int) -> None:
    """Close ministack's gaps and run it."""
    # Imported now, since ministack reads its settings from the environment when it is imported.
    from ministack import app  # noqa: PLC0415

    from atlas_cli.local import (  # noqa: PLC0415
        apigateway,
        athena_queries,
        athena_tables,
        cloudwatch,
        crawlers,
        firehose,
        glue_runs,
        http_apis,
        lambda_runtimes,
        patches,
        queues,
        secrets_manager,
    )

    endpoint = f"http://127.0.0.1:{port}"
    patches.loopback_counts_as_tls()
    patches.batches_need_the_right_to_their_parts()
    patches.queries_are_of_their_workgroup()
    patches.glue_jobs_in_step_functions()
    patches.tasks_of_a_map_in_the_history()
    patches.throttled_functions_in_step_functions()
    patches.version_ids_in_object_events()
    patches.scheduler_context_attributes()
    patches.schedules_without_delay()
    patches.calls_of_roles(folder / "calls.jsonl")
    lambda_runtimes.install(folder / "lambda", ministack_settings(folder, port))
    glue_runs.install(folder / "glue", endpoint)
    crawlers.install(endpoint)
    athena_tables.install()
    athena_queries.install()
    cloudwatch.install()
    queues.install()
    apigateway.install(endpoint)
    http_apis.install()
    firehose.install(folder, endpoint)
    secrets_manager.install()

    sys.argv = ["ministack"]
    app.main()


if __name__ == "__main__":
    main()
