"""`make deploy` and `make destroy`: what they say, what they ask, and that nothing happens without an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from atlas_cli import deploy
from atlas_cli.console import CommandError
from atlas_cli.cost import bill
from atlas_cli.deploy import Place, find_place, plan
from atlas_cli.docs import DOCS
from stacks.config import StageConfig, read_context

PLACE = Place("111122223333", "eu-central-1", "arn:aws:iam::111122223333:role/people")
STAGES = {stage: StageConfig.load(stage, read_context()) for stage in ("dev", "prod")}


class Cdk:
    """Stands for the CDK's command line: remembers what it was called with, in the order of what people saw."""

    def __init__(self, seen: list[str], failing: str = "") -> None:
        self.seen = seen
        self.failing = failing
        self.folders: set[str] = set()

    def __call__(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        verb = command[2]
        self.seen.append(verb)
        assert environment["AWS_REGION"] == PLACE.region
        self.folders.add(command[command.index("--output" if verb == "synth" else "--app") + 1])
        return int(verb == self.failing)


def answering(seen: list[str], answer: str) -> deploy.Ask:
    def ask(question: str) -> str:
        seen.append(question)
        return answer

    return ask


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.delenv("APPROVE", raising=False)
    monkeypatch.setattr(deploy, "find_place", lambda _: PLACE)
    monkeypatch.setattr(deploy, "_say", lambda title, rows: found.append(title + str(dict(rows))))
    return found


def test_what_is_shown_is_what_is_deployed_once_somebody_says_yes(seen: list[str]) -> None:
    cdk = Cdk(seen)
    deploy.deploy("dev", cdk, answering(seen, "yes"))
    told, synth, diff, question, deployed = seen
    assert "111122223333, region eu-central-1" in told
    assert (synth, diff, deployed) == ("synth", "diff", "deploy")
    assert "Deploy this to account 111122223333, eu-central-1?" in question
    assert len(cdk.folders) == 1  # synthesized once


@pytest.mark.parametrize("answer", ["", "no", "y", "dev"])
def test_nothing_is_deployed_unless_somebody_says_yes(seen: list[str], answer: str) -> None:
    with pytest.raises(CommandError, match="nothing was changed"):
        deploy.deploy("dev", Cdk(seen), answering(seen, answer))
    assert "deploy" not in seen


def test_a_pipeline_approves_beforehand_and_sees_the_same(seen: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPROVE", "yes")
    deploy.deploy("prod", Cdk(seen), answering(seen, "never asked"))
    assert seen[1:] == ["synth", "diff", "deploy"]


@pytest.mark.parametrize("verb", ["synth", "diff"])
def test_what_cannot_be_shown_is_not_deployed(seen: list[str], monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    monkeypatch.setenv("APPROVE", "yes")
    with pytest.raises(CommandError, match=f"cdk {verb} failed"):
        deploy.deploy("dev", Cdk(seen, failing=verb), answering(seen, ""))
    assert seen[-1] == verb


def test_a_stage_is_destroyed_once_its_name_was_typed(seen: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for approve in ("", "yes"):
        monkeypatch.setenv("APPROVE", approve)
        with pytest.raises(CommandError, match="nothing was changed"):
            deploy.destroy("dev", Cdk(seen), answering(seen, "yes"))
    assert "destroy" not in seen
    assert "atlas-lake-dev-111122223333-eu-central-1" in seen[0]
    deploy.destroy("dev", Cdk(seen), answering(seen, "dev"))
    assert seen[-1] == "destroy"


def test_a_stage_that_keeps_its_data_is_not_destroyed(seen: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPROVE", "prod")
    with pytest.raises(CommandError, match="removal: retain"):
        deploy.destroy("prod", Cdk(seen), answering(seen, "prod"))
    assert seen == []


def test_the_local_stage_and_unknown_ones_are_refused(seen: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main(["deploy", "local"]) == 1
    assert "name a stage, as in make deploy STAGE=dev" in capsys.readouterr().err
    assert deploy.main(["destroy", "nowhere"]) == 1
    assert "dev, local, prod" in capsys.readouterr().err
    assert seen == []


def _overrides(stage: Mapping[str, Any], path: str = "") -> list[str]:
    found = []
    for key, value in stage.items():
        found += _overrides(value, f"{path}{key}.") if isinstance(value, dict) else [f"{path}{key}: {value}"]
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_the_plan_names_everything_in_which_the_stage_differs(stage: str) -> None:
    told = dict(plan(STAGES[stage], read_context(), PLACE))
    lines = [line.partition(" (default")[0] for line in told["not as the defaults"].splitlines()]
    assert lines == _overrides(read_context()["stages"][stage])
    assert "whoever@example.com" not in told["mails"]


def test_the_plan_says_what_people_have_to_know_before() -> None:
    dev, prod = (dict(plan(STAGES[stage], read_context(), PLACE)) for stage in ("dev", "prod"))
    assert dev["as"] == PLACE.caller
    assert dev["on removal"].startswith("make destroy deletes bucket atlas-lake-dev-111122223333-eu-central-1")
    assert prod["on removal"].endswith("outlive their stack")
    assert (dev["encryption"], prod["encryption"]) == ("keys of AWS", "a key of this account's own")
    assert f"${bill(STAGES['dev'], 0, 0).usd:,.0f} a month" in dev["cost"]
    assert "nobody" in dev["mails"]
    assert dev["budget"].startswith("none")
    told = replace(STAGES["prod"], monthly_budget_usd=1200, notification_emails=("a@example.com", "b@example.com"))
    named = dict(plan(told, read_context(), PLACE))
    assert named["mails"] == "a@example.com, b@example.com"
    assert named["budget"].startswith("$1,200 a month")
    assert "at once" in prod["days"]
    assert "10 G.1X workers at most, 120 minutes" in prod["days"]
    assert json.dumps(prod)  # all of it is text


class Session:
    """Stands for boto3's session: answers of STS, CloudFormation and API Gateway, or what they raise."""

    def __init__(
        self, caller: Any = None, toolkit: Any = None, region: str | None = PLACE.region, logs: Any = None
    ) -> None:
        self.region_name = region
        self._logs = logs or {"cloudwatchRoleArn": "arn:aws:iam::111122223333:role/api-gateway-logs"}
        self._caller = caller or {"Account": PLACE.account, "Arn": PLACE.caller}
        self._toolkit = toolkit or {"Stacks": [{"StackStatus": "UPDATE_COMPLETE"}]}

    def client(self, service: str, region_name: str) -> Session:
        assert service in ("sts", "cloudformation", "apigateway")
        assert region_name == PLACE.region
        return self

    def get_caller_identity(self) -> Any:
        return _answer(self._caller)

    def get_account(self) -> Any:
        return _answer(self._logs)

    def describe_stacks(self, StackName: str) -> Any:  # noqa: N803 - boto3 names it
        assert StackName == "CDKToolkit"
        return _answer(self._toolkit)


def _answer(given: Any) -> Any:
    if isinstance(given, Exception):
        raise given
    return given


def _error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "Call")


DEV = STAGES["dev"]


@pytest.mark.parametrize(
    ("config", "session", "said"),
    [
        (DEV, Session(region=None), "no region: set AWS_REGION"),
        (DEV, Session(caller=NoCredentialsError()), "no AWS credentials: aws configure"),
        (DEV, Session(caller=_error("ExpiredToken")), "log in anew.*ExpiredToken"),
        (replace(DEV, account="999988887777"), Session(), "belongs to account 999988887777"),
        (DEV, Session(toolkit=_error("ValidationError")), "cdk bootstrap aws://111122223333/eu-central-1"),
        (DEV, Session(toolkit={"Stacks": [{"StackStatus": "ROLLBACK_FAILED"}]}), "in state ROLLBACK_FAILED"),
        (DEV, Session(logs={"apiKeyVersion": "4"}), "give it a role, once, as docs/deploy.md says"),
    ],
    ids=["region", "credentials", "expired", "account", "bootstrap", "half bootstrapped", "logs of the API"],
)
def test_what_is_missing_is_said_with_what_to_do(config: StageConfig, session: Any, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        find_place(config, session)


def test_a_place_is_where_the_credentials_lead() -> None:
    session: Any = Session()
    assert find_place(DEV, session) == PLACE
    denied = _error("AccessDenied")
    may_not_look: Any = Session(toolkit=denied, logs=denied)  # a pipeline's role
    assert find_place(DEV, may_not_look) == PLACE


def test_the_role_of_the_pipeline_trusts_one_environment_and_may_become_the_cdks_roles_only() -> None:
    """As docs/deploy.md has it."""
    trust, may = map(json.loads, re.findall(r"```json\n(.*?)```", (DOCS / "deploy.md").read_text(), re.DOTALL))
    [trusting] = trust["Statement"]
    asked = trusting["Condition"]["StringEquals"]
    assert asked["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    assert re.fullmatch(r"repo:[^*]+:environment:[^*]+", asked["token.actions.githubusercontent.com:sub"])
    [allowed] = may["Statement"]
    assert allowed["Action"] == "sts:AssumeRole"
    assert all(re.search(r":role/cdk-hnb659fds-[a-z-]+-role-ACCOUNT-REGION$", role) for role in allowed["Resource"])


def test_the_example_of_the_docs_is_what_the_command_says(capsys: pytest.CaptureFixture[str]) -> None:
    deploy._say("Deploying stage dev of Atlas:", plan(DEV, read_context(), PLACE))
    said = capsys.readouterr().out
    [example] = re.findall(r"```\n(Deploying stage dev.*?)```", (DOCS / "deploy.md").read_text(), re.DOTALL)
    lines = [line.removesuffix("...").rstrip() for line in example.splitlines()]
    assert [line for line in lines if line not in said] == []
