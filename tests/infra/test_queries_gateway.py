"""The query API's gateway as its template has it: what is public, who is asked about the rest, how often."""

from __future__ import annotations

import json

import pytest

from atlas import access
from atlas.names import Names
from atlas.settings import AuthorizerSettings, QuerySettings
from stacks.events_gateway import BURST, TOKENS_PER_SECOND
from tests.infra.conftest import STAGES, Json, Synth

NAMES = Names("prod")
PUBLIC = {"GET /", "GET /page/{proxy+}", "GET /docs", "GET /openapi.json", "GET /health", "POST /token"}
LOGGED = {
    *("requestId", "requestTime", "httpMethod", "routeKey", "status", "identity.sourceIp"),
    *("authorizer.client_id", "authorizer.refused", "authorizer.error", "error.responseType"),
    *("integration.status", "responseLatency", "responseLength"),
}


def _routes(synth: Synth) -> dict[str, Json]:
    return {each["RouteKey"]: each for each in synth.resources("AWS::ApiGatewayV2::Route")}


def _called(synth: Synth, route: Json) -> str:
    """What a route's integration calls."""
    name = route["Target"].removeprefix("integrations/<").removesuffix(">")
    integration = synth.templates["Atlas-Prod-Queries"]["Resources"][name]["Properties"]
    assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")
    called: str = integration["IntegrationUri"]
    return called


@pytest.mark.parametrize("stage", STAGES)
def test_only_the_page_the_description_and_tokens_are_public_and_all_else_is_asked_about(
    stages: dict[str, Synth], stage: str
) -> None:
    routes = _routes(stages[stage])
    types = {key: route["AuthorizationType"] for key, route in routes.items()}
    assert types == {**dict.fromkeys(PUBLIC, "NONE"), "$default": "CUSTOM"}
    assert routes["$default"]["AuthorizerId"] == "<QueryApiAuthorizer>"


def test_the_authorizer_hears_of_every_request_and_is_asked_anew_each_time(prod: Synth) -> None:
    authorizer = prod.one("AWS::ApiGatewayV2::Authorizer")
    assert authorizer["AuthorizerType"] == "REQUEST"
    assert authorizer["AuthorizerPayloadFormatVersion"] == "2.0"
    assert authorizer["EnableSimpleResponses"] is True
    assert not authorizer.get("IdentitySource")  # else a request without a token is refused without a problem
    assert authorizer["AuthorizerResultTtlInSeconds"] == 0
    function = prod.one("AWS::Lambda::Function", FunctionName=NAMES.query_authorizer_function)
    assert function["Handler"] == "lambda_events.query_authorizer.handler"
    assert AuthorizerSettings.from_env(function["Environment"]["Variables"]) == AuthorizerSettings(
        "prod", access.audience("prod", access.QUERIES_API), NAMES.signing_key, NAMES.client_secrets
    )


def test_tokens_come_from_the_function_of_the_events_api_and_all_else_from_ours(prod: Synth) -> None:
    called = {key: _called(prod, route) for key, route in _routes(prod).items()}
    assert called.pop("POST /token").endswith(f":function:{NAMES.token_function}")
    [ours] = set(called.values())
    assert ours.startswith("<Query")
    function = prod.one("AWS::Lambda::Function", FunctionName=NAMES.query_function)
    assert function["Handler"] == "lambda_query.handler.handler"
    assert function["MemorySize"] == prod.config.query_api.memory_mb
    assert QuerySettings.from_env(function["Environment"]["Variables"]) == QuerySettings(
        bucket="atlas-lake-prod-111122223333-eu-central-1",
        database=prod.config.database,
        workgroup=NAMES.api_workgroup,
        stage="prod",
    )


def test_a_function_that_takes_too_long_ends_before_the_gateway_gives_up(prod: Synth) -> None:
    waits = {each["TimeoutInMillis"] for each in prod.resources("AWS::ApiGatewayV2::Integration")}
    assert waits == {30_000}  # the longest there is
    function = prod.one("AWS::Lambda::Function", FunctionName=NAMES.query_function)
    assert 25 < function["Timeout"] < 30  # the application waits 25 seconds for Athena


def test_only_this_api_may_call_the_functions_and_for_its_own_routes_only(prod: Synth) -> None:
    api = "arn:aws:execute-api:eu-central-1:111122223333:<QueryApi>"
    permitted = {
        each["SourceArn"]: each["FunctionName"]
        for each in prod.templates["Atlas-Prod-Queries"]["Resources"].values()
        if each["Type"] == "AWS::Lambda::Permission"
        for each in [each["Properties"]]
        if each["Principal"] == "apigateway.amazonaws.com"
    }
    assert set(permitted) == {f"{api}/*/*", f"{api}/*/POST/token", f"{api}/authorizers/<QueryApiAuthorizer>"}
    assert permitted[f"{api}/*/POST/token"].endswith(f":function:{NAMES.token_function}")


@pytest.mark.parametrize("stage", STAGES)
def test_the_stage_and_tokens_have_a_rate_and_a_burst(stages: dict[str, Synth], stage: str) -> None:
    synth = stages[stage]
    deployed = synth.one("AWS::ApiGatewayV2::Stage")
    assert (deployed["StageName"], deployed["AutoDeploy"]) == ("$default", True)
    everybody = synth.config.query_api.requests_per_second
    assert deployed["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": everybody, "ThrottlingBurstLimit": BURST * everybody,
    }  # fmt: skip
    assert deployed["RouteSettings"] == {
        "POST /token": {
            "ThrottlingRateLimit": TOKENS_PER_SECOND, "ThrottlingBurstLimit": BURST * TOKENS_PER_SECOND,
        }
    }  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
def test_each_request_is_a_line_of_json_in_the_log_and_none_holds_what_a_client_wrote(
    stages: dict[str, Synth], stage: str
) -> None:
    setting = stages[stage].one("AWS::ApiGatewayV2::Stage")["AccessLogSettings"]
    assert set(json.loads(setting["Format"]).values()) == {f"$context.{name}" for name in LOGGED}
    assert "\n" not in setting["Format"]
    assert setting["DestinationArn"].endswith(f":log-group:{Names(stage).query_api_logs}")
