"""The events API's gateway as its template has it: who comes in, with what, how often; what others are told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from aws_cdk import App
from aws_cdk import aws_lambda as lambda_

from atlas import events
from atlas.names import Names
from stacks import events_gateway, events_problems
from stacks.base import AtlasStack
from stacks.config import StageConfig, read_context
from stacks.events_gateway import BURST, TOKENS_PER_SECOND, gateway
from stacks.events_identity import Identity
from stacks.queues import queue
from tests.infra.conftest import STAGES, Json, Synth

EVENT = {"timestamp": "2026-11-20T19:29:18Z", "user_id": "u-1", "action": "login"}
_NOT_FOUND = (
    *("MISSING_AUTHENTICATION_TOKEN", "RESOURCE_NOT_FOUND", "INVALID_SIGNATURE", "EXPIRED_TOKEN"),
    "DEFAULT_4XX",
)
STATUSES = {
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "UNAUTHORIZED": 401,
    "ACCESS_DENIED": 403,
    "INVALID_API_KEY": 403,
    **dict.fromkeys(_NOT_FOUND, 404),
    "REQUEST_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "THROTTLED": 429,
    "QUOTA_EXCEEDED": 429,
    "DEFAULT_5XX": 500,
    "INTEGRATION_FAILURE": 503,
    "INTEGRATION_TIMEOUT": 504,
}
LOGGED = {
    *("extendedRequestId", "requestTime", "httpMethod", "resourcePath", "status"),
    *("authorizer.client_id", "authorizer.status", "identity.sourceIp", "error.responseType"),
    *("integration.status", "responseLatency", "responseLength"),
}


def _method(synth: Synth, path: str) -> Json:
    template = synth.templates[f"Atlas-{synth.config.stage.capitalize()}-Events"]
    [resource] = [
        name for name, each in template["Resources"].items() if each.get("Properties", {}).get("PathPart") == path
    ]
    return synth.one("AWS::ApiGateway::Method", ResourceId=f"<{resource}>")


@pytest.fixture
def method(prod: Synth) -> Json:
    return _method(prod, "events")


def test_whoever_sends_events_shows_a_token_and_the_client_behind_it_is_throttled_by_itself(
    prod: Synth, method: Json
) -> None:
    authorizer = prod.one("AWS::ApiGateway::Authorizer")
    assert method["AuthorizationType"] == "CUSTOM"
    assert method["AuthorizerId"].startswith("<EventsAuthorizer")
    assert authorizer["Type"] == "REQUEST"
    # A cache would outlive tokens and clients; without one, no header is needed for the function to be asked.
    assert authorizer["AuthorizerResultTtlInSeconds"] == 0
    assert not authorizer.get("IdentitySource")
    assert method["ApiKeyRequired"] is True
    assert prod.one("AWS::ApiGateway::RestApi")["ApiKeySourceType"] == "AUTHORIZER"
    [permitted] = [
        each["SourceArn"]
        for each in prod.resources("AWS::Lambda::Permission")
        if each["FunctionName"].startswith("<Authorizer")
    ]
    assert "/authorizers/<EventsAuthorizer" in permitted


@pytest.mark.parametrize("stage", STAGES)
def test_each_client_the_stage_and_tokens_have_a_rate_and_a_burst(stages: dict[str, Synth], stage: str) -> None:
    synth = stages[stage]
    rates = synth.config.events
    plan = synth.one("AWS::ApiGateway::UsagePlan")
    deployed = synth.one("AWS::ApiGateway::Stage")
    assert plan["UsagePlanName"] == Names(stage).usage_plan
    [covered] = plan["ApiStages"]
    assert (covered["ApiId"], deployed["StageName"]) == (deployed["RestApiId"], "v1")
    assert covered["Stage"].startswith("<EventsApiDeploymentStage")
    one_client = rates.client_requests_per_second
    assert plan["Throttle"] == {"RateLimit": one_client, "BurstLimit": BURST * one_client}
    settings = {(each["ResourcePath"], each["HttpMethod"]): each for each in deployed["MethodSettings"]}
    limits = {
        where: (each["ThrottlingRateLimit"], each["ThrottlingBurstLimit"]) for where, each in settings.items()
    }
    everybody = rates.requests_per_second
    assert limits == {
        ("/*", "*"): (everybody, BURST * everybody),
        ("/~1token", "POST"): (TOKENS_PER_SECOND, BURST * TOKENS_PER_SECOND),
    }
    assert everybody > TOKENS_PER_SECOND
    assert not [each for each in settings.values() if each.get("DataTraceEnabled") or each.get("CachingEnabled")]


def test_the_gateway_checks_every_body_by_the_schema_file_of_the_forwarder(prod: Synth, method: Json) -> None:
    model = prod.one("AWS::ApiGateway::Model")
    assert (model["Schema"], model["ContentType"]) == (events.schema(), "application/json")
    assert method["RequestModels"] == {"application/json": "<EventsModel>", "$default": "<EventsModel>"}
    assert method["RequestValidatorId"].startswith("<EventsApiEventsValidator")
    assert prod.one("AWS::ApiGateway::RequestValidator")["ValidateRequestBody"] is True
    valid = jsonschema_rs.Draft4Validator(model["Schema"]).is_valid
    assert valid(EVENT)
    assert valid([EVENT] * events.MOST_EVENTS)
    for stamped in (events.CLIENT_ID, events.RECEIVED_AT, events.REQUEST_ID, "position"):
        assert not valid(EVENT | {stamped: "mine"})
        assert not valid([EVENT, EVENT | {stamped: "mine"}])
    assert not valid([EVENT] * (events.MOST_EVENTS + 1))
    assert not valid([])


def test_a_body_that_is_not_json_never_comes_to_the_queue(method: Json) -> None:
    integration = method["Integration"]
    assert integration["PassthroughBehavior"] == "NEVER"  # else it would come in unchecked, and in its own words
    assert set(integration["RequestTemplates"]) == {"application/json"}


def test_only_a_request_that_the_queue_has_taken_is_accepted(prod: Synth, method: Json) -> None:
    integration = method["Integration"]
    queue_name = "<" + next(
        name
        for name, each in prod.templates["Atlas-Prod-Events"]["Resources"].items()
        if each.get("Properties", {}).get("QueueName") == Names("prod").events_queue
    )
    assert integration["Uri"].startswith(
        f"arn:aws:apigateway:eu-central-1:sqs:path/111122223333/{queue_name}.QueueName"
    )
    assert integration["Credentials"].startswith("<EventsApiRole")
    assert integration["RequestParameters"] == {
        "integration.request.header.Content-Type": "'application/x-www-form-urlencoded'"
    }
    answers = {each["StatusCode"]: each.get("SelectionPattern") for each in integration["IntegrationResponses"]}
    assert answers == {"202": "200", "400": "400", "503": None}  # without a pattern: whatever else there is
    declared = {each["StatusCode"]: set(each.get("ResponseParameters", {})) for each in method["MethodResponses"]}
    for answer in integration["IntegrationResponses"]:
        assert set(answer.get("ResponseParameters", {})) == declared[answer["StatusCode"]]
    refused = [each for each in integration["IntegrationResponses"] if each["StatusCode"] != "202"]
    for each in refused:
        told = each["ResponseParameters"]["method.response.header.Content-Type"]
        assert told == "'application/problem+json'"


@pytest.mark.parametrize("kind", STATUSES)
def test_what_the_gateway_refuses_it_tells_as_a_problem_with_the_right_status(prod: Synth, kind: str) -> None:
    answer = prod.one("AWS::ApiGateway::GatewayResponse", ResponseType=kind)
    problem = json.loads(answer["ResponseTemplates"]["application/json"])
    assert (answer["StatusCode"], problem["status"]) == (str(STATUSES[kind]), STATUSES[kind])
    assert list(problem) == ["type", "title", "status", "detail"]
    headers = {
        name.removeprefix("gatewayresponse.header."): value[1:-1]
        for name, value in answer["ResponseParameters"].items()
    }
    assert headers.pop("Content-Type") == "application/problem+json"
    expected = {401: {"WWW-Authenticate"}, 403: set(), 429: {"Retry-After"}}
    assert set(headers) == expected.get(STATUSES[kind], {"Retry-After"} if STATUSES[kind] >= 500 else set())
    assert not headers or headers.get("WWW-Authenticate", "Bearer").startswith("Bearer")
    # No echo of what was sent, but for the validator's words about a body.
    variables = set(re.findall(r"\$[\w.]+", json.dumps(answer)))
    assert variables == ({"$context.error.validationErrorString"} if kind == "BAD_REQUEST_BODY" else set())


def test_there_is_no_other_answer_of_the_gateway_and_the_rest_falls_to_the_defaults(prod: Synth) -> None:
    assert {each["ResponseType"] for each in prod.resources("AWS::ApiGateway::GatewayResponse")} == set(STATUSES)


@pytest.mark.parametrize("stage", STAGES)
def test_each_request_is_a_line_of_json_in_the_log_and_none_holds_what_a_client_wrote(
    stages: dict[str, Synth], stage: str
) -> None:
    synth = stages[stage]
    setting = synth.one("AWS::ApiGateway::Stage")["AccessLogSetting"]
    line = json.loads(setting["Format"])
    assert "\n" not in setting["Format"]
    assert set(line.values()) == {f"$context.{name}" for name in LOGGED}
    assert setting["DestinationArn"].startswith("<EventsApiLogs")
    # Whether API Gateway may write logs is the account's to say, once for all of its APIs.
    assert synth.resources("AWS::ApiGateway::Account") == []


def test_the_api_speaks_tls_1_2_and_newer(prod: Synth) -> None:
    api = prod.one("AWS::ApiGateway::RestApi")
    assert (api["SecurityPolicy"], api["EndpointAccessMode"]) == ("SecurityPolicy_TLS13_1_2_2021_06", "STRICT")
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}


def _deployment(folder: Path) -> str:
    """The logical id of the deployment that the code comes to now."""
    app = App(outdir=str(folder))
    stack = AtlasStack(app, "Gate", config=StageConfig.load("dev", read_context()), description="a gateway")
    token, authorizer = (
        lambda_.Function.from_function_attributes(
            stack, name, function_arn=stack.arns.function(name), same_environment=True
        )
        for name in ("token", "authorizer")
    )
    gateway(stack, Identity(token, authorizer), queue(stack, "Requests", name="requests"))
    resources: Json = app.synth().get_stack_by_name(stack.stack_name).template["Resources"]
    [found] = [name for name, each in resources.items() if each["Type"] == "AWS::ApiGateway::Deployment"]
    return found


def test_a_change_of_the_api_makes_a_new_deployment_and_nothing_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment is a snapshot: without a new one, CloudFormation would leave the old API in service."""
    before = _deployment(tmp_path)
    assert _deployment(tmp_path) == before
    changed: list[str] = []

    def change(owner: Any, name: str, value: Any) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, value)
            changed.append(_deployment(tmp_path))

    change(events, "schema", lambda: {"type": "object"})
    change(events_gateway, "_template", lambda name: f"## {name}")
    other = events_problems.PROBLEMS | {"THROTTLED": events_problems.UNAVAILABLE}
    change(events_gateway, "PROBLEMS", other)
    assert len({before, *changed}) == 4
