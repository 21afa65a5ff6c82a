from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from atlas_cli.local import emulator, glue_runs
from atlas_cli.local.emulator import Emulator, EmulatorError
from atlas_cli.local.glue_runner import Run
from atlas_cli.local.launcher import hold


def test_a_second_start_finds_the_first(cloud: Emulator) -> None:
    assert emulator.start(Path(cloud.project)) == cloud
    assert emulator.running(Path(cloud.project)) == cloud


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's table of sockets")
def test_it_listens_on_loopback_only(cloud: Emulator) -> None:
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {str(fd.readlink()) for fd in Path(f"/proc/{cloud.pid}/fd").iterdir() if fd.is_symlink()}
    own = {columns[1] for columns in listening if columns[3] == "0A" and f"socket:[{columns[9]}]" in inodes}
    assert own == {f"0100007F:{cloud.port:04X}"}


def test_the_environment_leads_to_it_and_nowhere_else(cloud: Emulator) -> None:
    environment = cloud.environment({"PATH": "/bin", "AWS_PROFILE": "prod", "HTTPS_PROXY": "http://elsewhere"})
    assert environment["AWS_ENDPOINT_URL"] == cloud.endpoint
    assert not {"AWS_PROFILE", "HTTPS_PROXY"} & set(environment)


def test_iam_is_enforced(cloud: Emulator) -> None:
    iam = cloud.session().client("iam")
    iam.create_user(UserName="nobody")
    keys = iam.create_access_key(UserName="nobody")["AccessKey"]
    environment = {
        **cloud.environment(),
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
    }
    code = "import boto3; boto3.client('s3').list_buckets()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert "AccessDenied" in done.stderr


def test_a_stale_state_is_not_a_running_emulator(tmp_path: Path) -> None:
    folder = tmp_path / emulator.FOLDER
    folder.mkdir()
    # the id of a process that lives, as after a reboot: this one
    (folder / "emulator.json").write_text(json.dumps({"project": "x", "pid": os.getpid(), "port": 1}))
    assert emulator.running(tmp_path) is None
    assert not emulator.stop(tmp_path)
    assert not (folder / "emulator.json").exists()


def test_stopping_what_never_ran_is_no_error(tmp_path: Path) -> None:
    assert not emulator.stop(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_crash_does_not_stop_the_next_start_and_stop_ends_its_functions_and_runs(tmp_path: Path) -> None:
    first = emulator.start(tmp_path)
    os.kill(first.pid, signal.SIGKILL)
    _wait_for(lambda: emulator.running(tmp_path) is None)
    second = emulator.start(tmp_path)
    script = _start_a_long_job(second)
    assert _alive(script)
    assert emulator.stop(tmp_path)
    assert emulator.running(tmp_path) is None
    _wait_for(lambda: not _alive(script), 2)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", second.port)) != 0


def test_a_start_that_fails_shows_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "_free_port", lambda: 70000)  # no such port
    with pytest.raises(EmulatorError, match="port must be 0-65535"):
        emulator.start(tmp_path)
    assert emulator.running(tmp_path) is None


def test_a_run_that_exceeds_its_timeout_is_ended(cloud: Emulator) -> None:
    log = cloud.glue_logs / "late" / "jr_1.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    role, script = _sleeper(cloud)
    lock = cloud.glue_logs / "late.lock"
    run = Run("late", "jr_1", role, script, {}, cloud.endpoint, str(log.with_suffix(".json")), str(lock))
    assert glue_runs._run_process(run, log, timeout=1.5)[0] == "TIMEOUT"
    held = hold(lock)
    assert held is not None, "a process of the run is still there"
    held.close()


def _sleeper(cloud: Emulator) -> tuple[str, str]:
    """A role that may do everything, and a script that says its process id and sleeps."""
    session = cloud.session()
    s3, iam = session.client("s3"), session.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}
    version = {"Version": "2012-10-17"}
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps({**version, "Statement": [trust]}))
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.put_role_policy(
        RoleName="r", PolicyName="p", PolicyDocument=json.dumps({**version, "Statement": [everything]})
    )
    s3.create_bucket(Bucket="code")
    body = b"import os, time; print('asleep', os.getpid(), flush=True); time.sleep(300)"
    s3.put_object(Bucket="code", Key="sleep.py", Body=body)
    return role["Role"]["Arn"], "s3://code/sleep.py"


def _start_a_long_job(cloud: Emulator) -> int:
    role, script = _sleeper(cloud)
    glue = cloud.session().client("glue")
    command: Any = {"Name": "glueetl", "ScriptLocation": script}
    glue.create_job(Name="sleep", Role=role, Command=command)
    run = glue.start_job_run(JobName="sleep")["JobRunId"]
    log = cloud.glue_logs / "sleep" / f"{run}.log"
    _wait_for(lambda: log.exists() and "asleep" in log.read_text())
    return int(log.read_text().split()[1])


def _alive(pid: int) -> bool:
    """Whether a process runs; one that ended, and that nobody has waited for, has no command line."""
    if Path("/proc").is_dir():
        command = Path(f"/proc/{pid}/cmdline")
        return command.exists() and command.read_bytes() != b""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wait_for(condition: object, seconds: float = 20.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
