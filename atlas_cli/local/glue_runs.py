"""Glue job runs that really run.

ministack reports a Spark job SUCCEEDED without running it, unless it finds Docker and a 3 GB image. Here a
run is a process (`glue_runner`) with the job's script, under PySpark, with the job role's credentials.
"""

from __future__ import annotations

import contextvars
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import glue
from ministack.services.cloudformation import provisioners

from atlas_cli.local.glue_runner import RUNS_LOCK, Run

_UNFINISHED = ("STARTING", "RUNNING", "STOPPING", "WAITING")
_TAIL = 64 * 1024
_slots = threading.BoundedSemaphore(max(1, (os.cpu_count() or 2) // 2))  # a JVM and its Python fill two cores
_processes: dict[str, subprocess.Popen[bytes]] = {}
_start_lock = threading.Lock()


def install(folder: Path, endpoint: str) -> None:
    """Replace ministack's job runs. Logs and receipts go to `folder`/<job>/<run id>.{log,json}."""
    _keep_execution_property()

    def start_job_run(data: dict[str, Any]) -> Any:
        with _start_lock:
            return _start(data, folder, endpoint)

    glue._start_job_run = start_job_run
    stop_in_name_only = glue._batch_stop_job_run

    def batch_stop_job_run(data: dict[str, Any]) -> Any:
        """AWS ends the run; ministack only writes STOPPED beside it."""
        answer = stop_in_name_only(data)
        for run_id in data.get("JobRunIds", []):
            _kill(run_id)
        return answer

    glue._batch_stop_job_run = batch_stop_job_run


def failure_message(log: str) -> str:
    """What went wrong, from a run's output: the last exception's line, else the last line. As Glue reports it."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    tracebacks = [n for n, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    for start in reversed(tracebacks):
        rest = itertools.dropwhile(lambda line: line.startswith(" "), lines[start + 1 :])
        # A Py4JJavaError's own first line says nothing; Java's reason is on the next.
        message = list(itertools.islice(rest, 2))
        if message:
            return " ".join(message if len(message) > 1 and message[1].startswith(":") else message[:1])[:2000]
    return lines[-1][:2000] if lines else "the script ended without a word"


def _keep_execution_property() -> None:
    """AWS limits a job's concurrent runs (to 1, unless told otherwise); ministack forgets the limit."""
    create, update = glue._create_job, glue._update_job

    def create_job(data: dict[str, Any]) -> Any:
        answer = create(data)
        if answer[0] == 200:
            glue._jobs[data["Name"]]["ExecutionProperty"] = data.get("ExecutionProperty", {"MaxConcurrentRuns": 1})
        return answer

    def update_job(data: dict[str, Any]) -> Any:
        answer = update(data)
        if answer[0] == 200 and "ExecutionProperty" in data.get("JobUpdate", {}):
            glue._jobs[data["JobName"]]["ExecutionProperty"] = data["JobUpdate"]["ExecutionProperty"]
        return answer

    glue._create_job, glue._update_job = create_job, update_job
    provisioners._GLUE_JOB_DEFAULTS["ExecutionProperty"] = {"MaxConcurrentRuns": 1}


def _start(data: dict[str, Any], folder: Path, endpoint: str) -> Any:
    name = str(data.get("JobName"))
    job = glue._jobs.get(name)
    if job is None:
        return error_response_json("EntityNotFoundException", f"Failed to start job run: no job {name}", 400)
    runs = glue._job_runs.setdefault(name, [])
    limit = int(job.get("ExecutionProperty", {}).get("MaxConcurrentRuns", 1))
    if sum(run["JobRunState"] in _UNFINISHED for run in runs) >= limit:
        return error_response_json("ConcurrentRunsExceededException", f"Concurrent runs exceeded for {name}", 400)
    run = _job_run(job, data)
    runs.append(run)
    log = folder / name / f"{run['Id']}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    spec = Run(
        job=name,
        run_id=run["Id"],
        role=_role_arn(job["Role"]),
        script=job["Command"]["ScriptLocation"],
        arguments=run["Arguments"],
        endpoint=endpoint,
        receipt=str(log.with_suffix(".json")),
        lock=str(folder / RUNS_LOCK),
    )
    # The account of the request lives in a context variable, which a thread does not inherit.
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_execute, run, spec, log), daemon=True).start()
    return json_response({"JobRunId": run["Id"]})


def _job_run(job: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """A new JobRun with the fields that Glue gives it. The run's arguments win over the job's defaults."""
    now = time.time()
    arguments = {
        **job.get("DefaultArguments", {}),
        **data.get("Arguments", {}),
        **(job.get("NonOverridableArguments") or {}),
    }
    return {
        "Id": f"jr_{glue.new_uuid().replace('-', '')}",
        "JobName": job["Name"],
        "Attempt": 0,
        "StartedOn": now,
        "LastModifiedOn": now,
        "JobRunState": "STARTING",
        "Arguments": arguments,
        "PredecessorRuns": [],
        "ExecutionTime": 0,
        "Timeout": data.get("Timeout", job.get("Timeout", 480)),
        "WorkerType": job.get("WorkerType", "G.1X"),
        "NumberOfWorkers": job.get("NumberOfWorkers", 2),
        "GlueVersion": job.get("GlueVersion", "5.0"),
        "LogGroupName": "/aws-glue/jobs",
    }


def _execute(run: dict[str, Any], spec: Run, log: Path) -> None:
    with _slots:
        if run["JobRunState"] != "STARTING":  # stopped while it waited
            return
        run["JobRunState"] = "RUNNING"
        began = time.time()
        state, error = _run_process(spec, log, timeout=float(run["Timeout"]) * 60)
    if run["JobRunState"] == "RUNNING":  # else BatchStopJobRun has set its end already
        if error:
            run["ErrorMessage"] = error
        now = time.time()
        # AWS tells them of jobs with auto scaling; a worker of G.1X is one.
        dpu_seconds = (now - began) * run["NumberOfWorkers"]
        run.update(CompletedOn=now, LastModifiedOn=now, ExecutionTime=round(now - began), DPUSeconds=dpu_seconds)
        run["JobRunState"] = state


def _run_process(spec: Run, log: Path, timeout: float) -> tuple[str, str]:
    """Run the job; its end state and its error. `timeout` in seconds."""
    description = log.with_suffix(".run.json")
    description.write_text(json.dumps(asdict(spec)))
    command = [sys.executable, "-m", "atlas_cli.local.glue_runner", str(description)]
    with log.open("wb") as output:
        # A group of its own, to end it whole. Its stdin is the line that drops when this process dies.
        process = subprocess.Popen(  # noqa: S603 (our own module)
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, process_group=0
        )
        _processes[spec.run_id] = process
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            _kill(spec.run_id)
            return "TIMEOUT", "Job run timed out."
        finally:
            _processes.pop(spec.run_id, None)
            description.unlink(missing_ok=True)
    return ("SUCCEEDED", "") if status == 0 else ("FAILED", failure_message(_tail(log)))


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        return file.read().decode(errors="replace")


def _kill(run_id: str) -> None:
    process = _processes.get(run_id)
    if process is not None and process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _role_arn(role: str) -> str:
    """Glue takes a role's name too."""
    return role if re.match("arn:", role) else f"arn:aws:iam::{glue.get_account_id()}:role/{role}"
