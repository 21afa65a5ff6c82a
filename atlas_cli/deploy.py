"""`make deploy STAGE=dev` and `make destroy STAGE=dev`: say what will be done, to which account, and ask before.

    python -m atlas_cli.deploy deploy STAGE      APPROVE=yes in the environment stands for the answer
    python -m atlas_cli.deploy destroy STAGE     so does APPROVE=STAGE: one word too few must not be enough

What is deployed is what was shown: the stacks are synthesized once, and the CDK compares and deploys that.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from atlas.names import Names
from atlas_cli import cdk
from atlas_cli.cloud import LOCAL
from atlas_cli.console import CommandError
from atlas_cli.cost import bill
from atlas_cli.project import ROOT
from stacks.config import ConfigError, StageConfig, read_context

TOOLKIT = "CDKToolkit"
_READY = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")

Run = Callable[[Sequence[str], Mapping[str, str]], int]
Ask = Callable[[str], str]


@dataclass(frozen=True)
class Place:
    """Where the credentials lead: account, region, and whose they are."""

    account: str
    region: str
    caller: str


def find_place(config: StageConfig, session: boto3.Session | None = None) -> Place:
    """Where the stage would go. Raises CommandError if that cannot be, and says what to do."""
    session = session or boto3.Session(region_name=os.environ.get("AWS_REGION"))
    region = config.region or session.region_name
    if not region:
        raise CommandError(
            "no region: set AWS_REGION, choose a profile that has one, or give the stage one (cdk.json)"
        )
    try:
        caller = session.client("sts", region_name=region).get_caller_identity()
    except NoCredentialsError as fault:
        raise CommandError("no AWS credentials: aws configure, or aws sso login and AWS_PROFILE") from fault
    except (ClientError, BotoCoreError) as fault:
        raise CommandError(f"the AWS credentials do not work, log in anew: {fault}") from fault
    place = Place(caller["Account"], region, caller["Arn"])
    if config.account not in (None, place.account):
        raise CommandError(
            f"stage {config.stage} belongs to account {config.account} (cdk.json), but the credentials are of "
            f"{place.caller}: choose others"
        )
    _check_bootstrapped(place, session)
    _check_api_logs(place, session)
    return place


def _check_bootstrapped(place: Place, session: boto3.Session) -> None:
    how = f"once, .venv/bin/python -m atlas_cli.cdk bootstrap aws://{place.account}/{place.region}"
    try:
        client = session.client("cloudformation", region_name=place.region)
        [toolkit] = client.describe_stacks(StackName=TOOLKIT)["Stacks"]
    except ClientError as fault:
        if fault.response["Error"]["Code"] != "ValidationError":
            return  # a pipeline's role may not look: the CDK will say
        raise CommandError(f"{place.account} in {place.region} is not ready for the CDK: {how}") from fault
    if toolkit["StackStatus"] not in _READY:
        raise CommandError(f"the stack {TOOLKIT} is in state {toolkit['StackStatus']}: {how}")


def _check_api_logs(place: Place, session: boto3.Session) -> None:
    """A setting of the account, which is not a stage's to make: without it the events API cannot be deployed."""
    try:
        account = session.client("apigateway", region_name=place.region).get_account()
    except ClientError:
        return  # a pipeline's role may not look: CloudFormation will say
    if not account.get("cloudwatchRoleArn"):
        raise CommandError(
            f"API Gateway may not write logs in {place.account}, {place.region}: give it a role, once, as "
            "docs/deploy.md says"
        )


def plan(config: StageConfig, context: Mapping[str, Any], place: Place) -> Iterator[tuple[str, str]]:
    """What a deployment makes of the stage: what of it, and what that is."""
    yield "account", f"{place.account}, region {place.region}"
    yield "as", place.caller
    yield "stage", config.stage
    differences = [*_differences(context["defaults"], context["stages"][config.stage])]
    yield "not as the defaults", "\n".join(differences) or "nothing"
    yield "mails", ", ".join(config.notification_emails) or "to nobody: notification_emails is empty"
    yield "files", f"up to {config.ingestion.max_concurrency} batches at once, {config.ingestion.memory_mb} MB each"
    yield "days", "\n".join(_engines(config))
    yield "schedules", _schedules(config)
    yield "encryption", {"aws": "keys of AWS", "customer": "a key of this account's own"}[config.encryption]
    yield "kept", "\n".join(_kept(config))
    yield "on removal", _removal(config, place)
    budget = config.monthly_budget_usd
    yield (
        "budget",
        f"${budget:,} a month, told at 80 % and 100 %" if budget else "none: monthly_budget_usd is not set",
    )
    idle = bill(config, 0, 0).usd
    yield "cost", f"${idle:,.0f} a month without a log; else atlas cost --stage {config.stage} --gb-per-day N"


def _differences(defaults: Mapping[str, Any], stage: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in stage.items():
        below = defaults.get(key)
        if isinstance(value, Mapping):
            yield from _differences(below or {}, value, f"{path}{key}.")
        else:
            yield f"{path}{key}: {value}" + ("" if below is None else f" (default {below})")


def _engines(config: StageConfig) -> Iterator[str]:
    day, jobs = config.day, config.jobs
    most = (
        "as many at once as the account lets run"
        if day.max_concurrency is None
        else f"{day.max_concurrency} at once"
    )
    function = f"the function of {day.memory_mb:,} MB, {most}"
    glue = (
        f"Glue, {jobs.max_workers} {jobs.worker_type} workers at most, {jobs.timeout_minutes} minutes a job at most"
    )
    if config.engine != "glue":
        yield function + (f", up to {day.max_megabytes:,} MiB of text" if config.engine == "auto" else "")
    if config.engine != "lambda":
        yield glue + (" beyond" if config.engine == "auto" else "")
    yield f"{config.orchestration.concurrent_days} at once in an execution"


def _schedules(config: StageConfig) -> str:
    when = config.orchestration
    if not when.schedules_enabled:
        return "off"
    return f"daily at {when.daily_at_utc} UTC, a sweep of dirty days every {when.sweep_minutes} minutes"


def _kept(config: StageConfig) -> Iterator[str]:
    keep = config.retention
    cold = keep.archive_to_glacier_days
    yield f"what producers dropped: for ever, in Glacier Instant Retrieval after {cold} days"
    yield "silver and gold: for ever"
    yield f"validated objects {keep.validated_days} days, what was refused {keep.rejected_days}"
    yield f"logs {keep.logs_days} days, results of queries {keep.query_results_days}"
    yield f"old versions {keep.noncurrent_versions_days} days, access logs {keep.access_logs_days}"


def _removal(config: StageConfig, place: Place) -> str:
    bucket = Names(config.stage).bucket(place.account, place.region)
    if config.removal == "retain":
        return f"bucket {bucket} and the ledger outlive their stack"
    return f"make destroy deletes bucket {bucket} and the ledger, with all that they hold"


def deploy(stage: str, run: Run, ask: Ask) -> None:
    """Tells, compares, asks, deploys. Raises CommandError, and ConfigError if cdk.json is wrong."""
    config, place = _begin(stage)
    _say(f"Deploying stage {stage} of Atlas:", plan(config, read_context(), place))
    built, environment = _synthesized(config, place, run)
    _cdk(run, environment, "diff", "--app", built)
    if os.environ.get("APPROVE") != "yes":
        _be_told(ask, f"Deploy this to account {place.account}, {place.region}? (yes, or anything else) ", "yes")
    _cdk(run, environment, "deploy", "--all", "--app", built, "--require-approval", "never")


def destroy(stage: str, run: Run, ask: Ask) -> None:
    """Warns, asks, destroys. Raises CommandError, also for a stage that keeps its data."""
    config, place = _begin(stage)
    names = Names(stage)
    bucket = names.bucket(place.account, place.region)
    if config.removal == "retain":
        raise CommandError(
            f"stage {stage} keeps its data (removal: retain). Without its stacks, bucket {bucket} and the ledger "
            "would stay, under the names that the next deployment needs. If you mean it: set removal to destroy in "
            "cdk.json, deploy that, and then destroy the stage"
        )
    gone = [
        ("account", f"{place.account}, region {place.region}, as {place.caller}"),
        (
            "bucket",
            f"{bucket}: raw files, the archive of what producers dropped, silver, gold; every version",
        ),
        ("ledger", f"{names.ledger_table}, and its backups to any point in time"),
        ("all else", "functions, jobs, tables, queues, topic, alarms, dashboard, logs"),
    ]
    _say(f"DESTROYING stage {stage} of Atlas. This cannot be undone. What goes:", iter(gone))
    if os.environ.get("APPROVE") != stage:
        _be_told(ask, f"To destroy it, type the stage's name ({stage}): ", stage)
    built, environment = _synthesized(config, place, run)
    _cdk(run, environment, "destroy", "--all", "--force", "--app", built)


def _begin(stage: str) -> tuple[StageConfig, Place]:
    if stage == LOCAL:
        raise CommandError(
            "this goes to AWS: name a stage, as in make deploy STAGE=dev. The stage local is deployed by atlas up"
        )
    config = StageConfig.load(stage, read_context())
    return config, find_place(config)


def _synthesized(config: StageConfig, place: Place, run: Run) -> tuple[str, dict[str, str]]:
    """The folder of the stage's templates and assets, and the environment in which the CDK goes on with them."""
    built = str(ROOT / "cdk.out" / config.stage)
    environment = {**cdk.environment(os.environ), "AWS_REGION": place.region}
    _cdk(run, environment, "synth", "--quiet", "-c", f"stage={config.stage}", "--output", built)
    return built, environment


def _cdk(run: Run, environment: Mapping[str, str], *arguments: str) -> None:
    if run(cdk.command(*arguments), environment) != 0:
        raise CommandError(f"cdk {arguments[0]} failed, see above")


def _say(title: str, rows: Iterator[tuple[str, str]]) -> None:
    print(f"\n{title}\n")
    for name, text in rows:
        first, *others = text.split("\n")
        print(f"  {name:<20} {first}", *(" " * 23 + line for line in others), sep="\n")
    print(flush=True)


def _be_told(ask: Ask, question: str, answer: str) -> None:
    if ask(question).strip() != answer:
        raise CommandError("nothing was changed")


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode  # noqa: S603 - the CDK's CLI


def _ask(question: str) -> str:
    if not sys.stdin.isatty():
        raise CommandError("nobody is here to answer: set APPROVE (make help), or run this in a terminal")
    return input(question)


def main(argv: Sequence[str] | None = None) -> int:
    """Deploys or destroys one stage; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("deploy", "destroy"))
    parser.add_argument("stage")
    args = parser.parse_args(argv)
    try:
        (deploy if args.verb == "deploy" else destroy)(args.stage, _run, _ask)
    except (CommandError, ConfigError) as fault:
        print(f"atlas: {fault}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("\natlas: nothing more was done", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
