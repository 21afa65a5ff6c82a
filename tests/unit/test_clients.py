"""`atlas client`: who is added gets in, who is removed does not, and a secret is shown once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from moto.core.models import botocore_stubber

from atlas import access
from atlas_cli import client as client_verb
from atlas_cli.cloud import LOCAL, Cloud
from atlas_cli.console import CommandError
from atlas_cli.main import main
from lambda_events.rotation_steps import STEPS
from stacks.config import StageConfig, read_context
from tests.access_under_test import EVENTS, NAMES, QUERIES, AccessUnderTest, access_under_test

PLAN = "plan1"
URL = "https://api.example/v1"
QUERIES_URL = "https://queries.example"
FUNCTION = "arn:aws-us-gov:lambda:us-gov-east-1:123456789012:function:"


@dataclass
class Gateway:
    """API Gateway's usage plans and API keys, as far as they are asked for, behind boto3's own client."""

    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    plan: list[str] = field(default_factory=list)
    plans: list[dict[str, str]] = field(default_factory=lambda: [{"id": PLAN, "name": NAMES.usage_plan}])

    def __call__(self, request: Any, **_: Any) -> Any:
        where = urlsplit(str(request.url))
        status, said = self._answer(
            f"{request.method} {where.path}", parse_qs(where.query), json.loads(request.body or b"{}")
        )
        return AWSResponse(request.url, status, HTTPHeaders(), _Raw(json.dumps(said).encode()))

    def _answer(self, what: str, query: dict[str, list[str]], said: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if what == "GET /usageplans":
            return 200, {"item": self.plans}
        if what == "GET /apikeys":
            return 200, {"item": [key for key in self.keys.values() if key["name"].startswith(query["name"][0])]}
        if what == "POST /apikeys":
            made = {**said, "id": f"key{len(self.keys)}"}
            self.keys[made["id"]] = made
            return 201, made
        if what == f"POST /usageplans/{PLAN}/keys":
            if said["keyId"] in self.plan:
                return 409, {"__type": "ConflictException", "message": "already in the plan"}
            self.plan.append(said["keyId"])
            return 201, {"id": said["keyId"]}
        verb, _, key = what.rpartition("/")
        assert verb == "DELETE /apikeys"
        del self.keys[key]
        self.plan.remove(key)
        return 202, {}


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._left = [body]

    def stream(self) -> Iterator[bytes]:
        yield from self._left


@dataclass
class ClientsUnderTest:
    world: AccessUnderTest
    gateway: Gateway
    registered: list[dict[str, Any]] = field(default_factory=list)
    """How rotations were asked for."""
    rotates: bool = True
    deployed: bool = True

    def rotate(self, **asked: Any) -> dict[str, Any]:
        """As Secrets Manager does, at once."""
        self.registered.append(asked)
        name = asked["SecretId"]
        if asked.get("RotateImmediately", True) and self.rotates:
            version = self.world.begin(name, version=asked["ClientRequestToken"])
            for step in STEPS:
                self.world.step(step, name, version)
        return {}

    def url(self, _: Cloud) -> str:
        if not self.deployed:
            raise CommandError("stage local has no events API")
        return URL

    def function(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        return {"FunctionArn": f"{FUNCTION}{FunctionName}"}

    def key_names(self) -> list[str]:
        return [self.gateway.keys[key]["name"] for key in self.gateway.plan]


@pytest.fixture(scope="module")
def gateway_client() -> Any:
    """Made once: that takes longer than most tests. moto has no say in it."""
    made: Any = boto3.client("apigateway")
    made.meta.events.unregister("before-send", botocore_stubber)
    return made


@pytest.fixture
def stage(gateway_client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClientsUnderTest]:
    """A stage with an empty usage plan and the rotation function."""
    with access_under_test() as world:
        made = ClientsUnderTest(world, Gateway())
        gateway_client.meta.events.register("before-send", made.gateway, unique_id="gateway")
        monkeypatch.setattr(world.client, "rotate_secret", made.rotate)
        clients = {
            "secretsmanager": world.client,
            "apigateway": gateway_client,
            "lambda": SimpleNamespace(get_function_configuration=made.function),
        }
        cloud = Cloud(LOCAL, SimpleNamespace(client=clients.__getitem__))  # type: ignore[arg-type]
        monkeypatch.setattr(Cloud, "events_url", property(made.url))
        monkeypatch.setattr(Cloud, "queries_url", QUERIES_URL)
        monkeypatch.setattr("atlas_cli.main.connect", lambda _: cloud)
        monkeypatch.setattr("atlas_cli.client.time.sleep", lambda _: None)
        yield made
        gateway_client.meta.events.unregister("before-send", unique_id="gateway")


def _told(capfd: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What the command says with --json, which is one line."""
    assert main(["client", *words, "--json"]) == 0
    [row] = map(json.loads, capfd.readouterr().out.splitlines())
    assert isinstance(row, dict)
    return row


def _refused(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["client", *words]) == 1
    said = capfd.readouterr()
    assert said.out == ""
    return said.err


def test_a_client_that_is_added_gets_a_token(stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str]) -> None:
    row = _told(capfd, "add", "web-shop")
    assert {**row, "client_secret": ""} == {
        "events_url": URL, "client_id": "web-shop", "client_secret": "", "audience": EVENTS,
    }  # fmt: skip
    assert stage.world.ask(row["client_id"], row["client_secret"], row["audience"]).status == 200


def test_a_client_of_the_query_api_gets_tokens_for_that_and_is_in_no_usage_plan(
    stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str]
) -> None:
    row = _told(capfd, "add", "board", "--api", "queries")
    assert {**row, "client_secret": ""} == {
        "queries_url": QUERIES_URL, "client_id": "board", "client_secret": "", "audience": QUERIES,
    }  # fmt: skip
    secret = row["client_secret"]
    assert [stage.world.ask("board", secret, each).status for each in (QUERIES, EVENTS)] == [200, 403]
    assert stage.gateway.keys == {}
    assert _told(capfd, "rotate", "board")["audience"] == QUERIES
    assert main(["client", "remove", "board"]) == 0
    assert stage.world.ask("board", secret, QUERIES).status == 401


def test_a_client_may_use_both_apis(stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str]) -> None:
    row = _told(capfd, "add", "web-shop", "--api", "queries", "--api", "events", "--api", "queries")
    assert (row["events_url"], row["queries_url"]) == (URL, QUERIES_URL)
    asked = {row[f"{api}_audience"] for api in ("events", "queries")}
    assert asked == {EVENTS, QUERIES}
    assert {stage.world.ask("web-shop", row["client_secret"], each).status for each in asked} == {200}
    assert stage.key_names() == [NAMES.client_key("web-shop")]
    assert main(["client", "list", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["apis"] == "events queries"


@pytest.mark.usefixtures("stage")
def test_what_a_client_may_use_is_said_when_it_is_added(capfd: pytest.CaptureFixture[str]) -> None:
    _told(capfd, "add", "web-shop")
    for action in ("rotate", "remove"):
        assert "--api goes with add" in _refused(capfd, action, "web-shop", "--api", "queries")


def test_what_a_client_is_made_of(stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str]) -> None:
    _told(capfd, "add", "web-shop")
    secret = stage.world.client.describe_secret(SecretId=NAMES.client_secret("web-shop"))
    assert {tag["Key"]: tag["Value"] for tag in secret["Tags"]} == {
        "project": "atlas",
        "stage": LOCAL,
        access.AUDIENCES_TAG: "events",
    }
    assert stage.registered == [{
        "SecretId": NAMES.client_secret("web-shop"),
        "RotateImmediately": False,
        "RotationLambdaARN": FUNCTION + NAMES.rotation_function,
        "RotationRules": {"AutomaticallyAfterDays": StageConfig.load(LOCAL, read_context()).events.rotation_days},
    }]  # fmt: skip
    [key] = stage.gateway.keys.values()
    assert (key["name"], key["enabled"]) == (NAMES.client_key("web-shop"), True)
    assert key["value"] == access.usage_key(key["name"])
    assert stage.gateway.plan == [key["id"]]


def test_the_stages_own_key_encrypts_the_secret_if_there_is_one(
    stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = read_context()
    context["stages"][LOCAL]["encryption"] = "customer"
    monkeypatch.setattr(client_verb, "read_context", lambda: context)
    _told(capfd, "add", "web-shop")
    [created] = [asked for name, asked in stage.world.calls if name == "CreateSecret" and "KmsKeyId" in asked]
    assert created["KmsKeyId"] == NAMES.key_alias


@pytest.mark.parametrize("action", ["add", "rotate"])
@pytest.mark.parametrize("as_json", [True, False])
def test_a_secret_is_shown_once_and_unbroken(
    stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    action: str, as_json: bool,
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "30")
    before = stage.world.add("web-shop") if action == "rotate" else "-"
    assert main(["client", action, "web-shop", *(["--json"] if as_json else [])]) == 0
    said = capfd.readouterr()
    secret = stage.world.value(NAMES.client_secret("web-shop"))["client_secret"]
    assert said.out.count(secret) == 1
    assert secret not in said.err
    assert before == "-" or before not in said.out + said.err
    assert main(["client", "list"]) == 0
    assert secret not in "".join(capfd.readouterr())


def test_a_client_cannot_be_added_twice(stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str]) -> None:
    _told(capfd, "add", "web-shop")
    before = stage.world.value(NAMES.client_secret("web-shop"))
    said = _refused(capfd, "add", "web-shop")
    assert "client web-shop is there already. For another secret: atlas client rotate web-shop" in said
    assert stage.world.value(NAMES.client_secret("web-shop")) == before
    assert stage.key_names() == [NAMES.client_key("web-shop")]


@pytest.mark.parametrize("action", ["add", "rotate", "remove"])
@pytest.mark.parametrize("name", ["Web", "a_b", "-a", "a-", "a" * 49, "../x", "ü", ""])
def test_a_name_that_cannot_be_one_is_told_so(
    stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str], action: str, name: str
) -> None:
    said = _refused(capfd, action, "--", name)
    assert f"{name!r} cannot be a client's name: 1 to 48 lower-case letters, digits and hyphens" in said
    assert stage.gateway.keys == {}


@pytest.mark.parametrize("action", ["rotate", "remove"])
@pytest.mark.usefixtures("stage")
def test_a_client_that_is_not_there_is_told_with_those_that_are(
    capfd: pytest.CaptureFixture[str], action: str
) -> None:
    assert "there is no client shop on stage local. There are: none" in _refused(capfd, action, "shop")
    for name in ("web-shop", "billing"):
        _told(capfd, "add", name)
    assert "There are: billing, web-shop" in _refused(capfd, action, "shop")


@pytest.mark.parametrize("action", ["add", "rotate", "remove"])
@pytest.mark.usefixtures("stage")
def test_a_name_has_to_be_given(capfd: pytest.CaptureFixture[str], action: str) -> None:
    assert f"atlas client {action} takes the client's name" in _refused(capfd, action)
    assert "atlas client list takes no name" in _refused(capfd, "list", "web-shop")


def test_a_renewed_secret_holds_and_so_does_the_one_before(
    stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = [_told(capfd, "add", "web-shop")["client_secret"]]
    secrets += [_told(capfd, "rotate", "web-shop")["client_secret"] for _ in range(2)]
    assert [stage.world.ask("web-shop", secret).status for secret in secrets] == [401, 200, 200]


def test_a_renewal_that_does_not_end_is_told(
    stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _told(capfd, "add", "web-shop")
    stage.rotates = False
    monkeypatch.setattr(client_verb, "_ROTATION_SECONDS", 0)
    said = _refused(capfd, "rotate", "web-shop")
    assert "the one it has still holds" in said
    assert NAMES.rotation_function in said


def test_a_removed_client_gets_no_token_and_leaves_nothing(
    stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = _told(capfd, "add", "web-shop")["client_secret"]
    _told(capfd, "add", "web-shop-local")  # what its key is called begins like that of the other
    assert main(["client", "remove", "web-shop"]) == 0
    assert stage.world.ask("web-shop", secret).status == 401
    assert stage.key_names() == [NAMES.client_key("web-shop-local")]
    assert "there is no client web-shop on" in _refused(capfd, "remove", "web-shop")
    assert _told(capfd, "add", "web-shop")["client_secret"] != secret


@pytest.mark.parametrize("call", ["delete_api_key", "delete_secret"])
def test_a_removal_that_was_interrupted_can_be_finished(
    stage: ClientsUnderTest, gateway_client: Any, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, call: str,
) -> None:  # fmt: skip
    secret = _told(capfd, "add", "web-shop")["client_secret"]
    with monkeypatch.context() as patch:
        for client in (gateway_client, stage.world.client):
            if hasattr(client, call):
                patch.setattr(client, call, lambda **_: (_ for _ in ()).throw(_throttled(call)))
        assert "too fast" in _refused(capfd, "remove", "web-shop")
    assert main(["client", "remove", "web-shop"]) == 0
    assert stage.gateway.keys == {}
    assert stage.world.ask("web-shop", secret).status == 401


def test_an_addition_that_was_interrupted_can_be_done_again(
    stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(stage.world.client, "create_secret", lambda **_: (_ for _ in ()).throw(_throttled("any")))
        assert "too fast" in _refused(capfd, "add", "web-shop")
    secret = _told(capfd, "add", "web-shop")["client_secret"]
    assert stage.key_names() == [NAMES.client_key("web-shop")]
    assert stage.world.ask("web-shop", secret).status == 200


def _throttled(call: str) -> ClientError:
    return ClientError({"Error": {"Code": "ThrottlingException", "Message": "too fast"}}, call)


def test_a_name_that_aws_still_removes_is_told(
    stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def removing(**_: Any) -> Any:
        raise stage.world.client.exceptions.InvalidRequestException(
            {"Error": {"Code": "InvalidRequestException", "Message": "scheduled for deletion"}}, "CreateSecret"
        )

    monkeypatch.setattr(stage.world.client, "create_secret", removing)
    assert "try again in a minute" in _refused(capfd, "add", "web-shop")


def test_a_client_whose_secret_cannot_be_rotated_is_not_added(
    stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no invocation"}}, "RotateSecret")

    with monkeypatch.context() as patch:
        patch.setattr(stage.world.client, "rotate_secret", fails)
        assert "no invocation" in _refused(capfd, "add", "web-shop")
    assert _told(capfd, "add", "web-shop")["client_id"] == "web-shop"
    assert stage.key_names() == [NAMES.client_key("web-shop")]


def test_a_stage_without_the_events_api_is_told(stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str]) -> None:
    stage.gateway.plans[0]["name"] = "atlas-events-dev"
    assert f"stage local has no usage plan {NAMES.usage_plan}: deploy it" in _refused(capfd, "add", "web-shop")
    stage.deployed = False
    stage.world.add("billing")
    for action, name in (("add", "web-shop"), ("rotate", "billing")):
        assert "stage local has no events API" in _refused(capfd, action, name)
    assert stage.gateway.keys == {}


def test_clients_are_listed_by_name(stage: ClientsUnderTest, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["client", "list"]) == 0
    assert capfd.readouterr().out == "Clients: none\n"
    for name in ("web-shop", "billing"):
        _told(capfd, "add", name)
    stage.world.client.create_secret(Name="atlas/localized/clients/x", SecretString="-")
    assert main(["client", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(row["client_id"], row["apis"]) for row in rows] == [("billing", "events"), ("web-shop", "events")]
    assert all(row["added"].endswith("Z") for row in rows)
