"""The HTTP API of queries: who may ask for what without a token, where tokens come from, how many may come."""

from __future__ import annotations

import json
from dataclasses import dataclass

from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_lambda as lambda_

from stacks.base import AtlasStack
from stacks.events_gateway import BURST, TOKENS_PER_SECOND
from stacks.nag import acknowledge

GATEWAY_SECONDS = 30
"""The longest that an HTTP API waits for an answer, and how long it waits unless told otherwise:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""
PUBLIC = ("GET /", "GET /page/{proxy+}", "GET /docs", "GET /openapi.json", "GET /health")
"""What is answered without a token: the page and what it is made of, which hold no data, and how to ask."""
TOKEN, REST = "POST /token", "$default"
_STAGE = "$default"
"""The API's only stage, which is no part of its paths: so the page is at `/`."""
_ACCESS_LOG = {
    "request_id": "$context.requestId",
    "time": "$context.requestTime",
    "client_id": "$context.authorizer.client_id",
    "refused": "$context.authorizer.refused",
    "ip_address": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "route": "$context.routeKey",
    "status": "$context.status",
    "error": "$context.error.responseType",
    "authorizer_error": "$context.authorizer.error",
    "integration_status": "$context.integration.status",
    "latency_ms": "$context.responseLatency",
    "response_bytes": "$context.responseLength",
}
"""A line a request, without what a client writes: no headers, no query, and no path but the route's. Which resource
it was, the function's log says: its `correlation_id` is the request's id here."""


@dataclass(frozen=True)
class Gateway:
    """By what the API is found. `url` has a slash at its end."""

    url: str
    id: str


def gateway(stack: AtlasStack, function: lambda_.Function, authorizer: lambda_.Function) -> Gateway:
    """The API. `function` answers all but POST /token, and hears of each request what `authorizer` says of it."""
    names = stack.names
    api = apigateway.CfnApi(
        stack,
        "QueryApi",
        name=names.query_api,
        protocol_type="HTTP",
        description="Atlas: answers, and the page that shows them",
    )
    answers = _integration(stack, api, "Answers", function.function_arn)
    # It lives in the stack of the events API, and is known here by its name.
    tokens = _integration(stack, api, "Tokens", stack.arns.function(names.token_function))
    # No identity source: a request without a token is for the authorizer to tell of as well. And no cache, which
    # would let in what has expired meanwhile, or whose client is gone.
    checked = apigateway.CfnAuthorizer(
        stack,
        "QueryApiAuthorizer",
        api_id=api.ref,
        name=names.query_authorizer_function,
        authorizer_type="REQUEST",
        authorizer_uri=_uri(stack, authorizer.function_arn),
        authorizer_payload_format_version="2.0",
        enable_simple_responses=True,
        authorizer_result_ttl_in_seconds=0,
    )
    routes = [_public(stack, api, key, answers) for key in PUBLIC]
    token = _route(stack, api, TOKEN, tokens)
    acknowledge(
        token,
        "APIG4",
        "Here a client that has no token yet gets one: the function checks the client's own secret, in constant "
        "time, and the route is throttled by itself.",
    )
    rest = apigateway.CfnRoute(
        stack,
        "Rest",
        api_id=api.ref,
        route_key=REST,
        target=f"integrations/{answers.ref}",
        authorization_type="CUSTOM",
        authorizer_id=checked.ref,
    )
    _callable(stack, api, "Answers", function.function_arn, "*/*")
    _callable(stack, api, "Tokens", stack.arns.function(names.token_function), "*/POST/token")
    _callable(stack, api, "QueryApiAuthorizer", authorizer.function_arn, f"authorizers/{checked.ref}")
    _stage(stack, api, [*routes, token, rest])
    return Gateway(url=f"https://{api.ref}.execute-api.{stack.region}.{stack.url_suffix}/", id=api.ref)


def _public(
    stack: AtlasStack, api: apigateway.CfnApi, key: str, target: apigateway.CfnIntegration
) -> apigateway.CfnRoute:
    route = _route(stack, api, key, target)
    acknowledge(
        route,
        "APIG4",
        "The page, its scripts, the API's description and its health, which hold no data: people open the page in "
        "a browser and sign in there. All else needs a token, by the $default route.",
    )
    return route


def _route(
    stack: AtlasStack, api: apigateway.CfnApi, key: str, target: apigateway.CfnIntegration
) -> apigateway.CfnRoute:
    """One that needs no token."""
    return apigateway.CfnRoute(
        stack,
        f"Route-{key}",
        api_id=api.ref,
        route_key=key,
        target=f"integrations/{target.ref}",
        authorization_type="NONE",
    )


def _integration(
    stack: AtlasStack, api: apigateway.CfnApi, construct_id: str, function: str
) -> apigateway.CfnIntegration:
    return apigateway.CfnIntegration(
        stack,
        construct_id,
        api_id=api.ref,
        integration_type="AWS_PROXY",
        integration_uri=function,
        payload_format_version="2.0",
        timeout_in_millis=GATEWAY_SECONDS * 1000,
    )


def _uri(stack: AtlasStack, function: str) -> str:
    """A function as an authorizer has it."""
    return (
        f"arn:{stack.partition}:apigateway:{stack.region}:lambda:path/2015-03-31/functions/{function}/invocations"
    )


def _callable(stack: AtlasStack, api: apigateway.CfnApi, what: str, function: str, on: str) -> None:
    """Lets this API call a function, for what `on` names."""
    source = stack.format_arn(service="execute-api", resource=api.ref, resource_name=on)
    lambda_.CfnPermission(
        stack,
        f"{what}ByGateway",
        action="lambda:InvokeFunction",
        function_name=function,
        principal="apigateway.amazonaws.com",
        source_arn=source,
    )


def _stage(stack: AtlasStack, api: apigateway.CfnApi, routes: list[apigateway.CfnRoute]) -> None:
    rate = stack.config.query_api.requests_per_second
    logs = stack.log_group("QueryApiLogs", stack.names.query_api_logs)
    made = apigateway.CfnStage
    stage = made(
        stack,
        "Stage",
        api_id=api.ref,
        stage_name=_STAGE,
        auto_deploy=True,
        default_route_settings=made.RouteSettingsProperty(
            throttling_rate_limit=rate, throttling_burst_limit=BURST * rate
        ),
        route_settings={
            TOKEN: {
                "ThrottlingRateLimit": TOKENS_PER_SECOND,
                "ThrottlingBurstLimit": BURST * TOKENS_PER_SECOND,
            }
        },
        access_log_settings=made.AccessLogSettingsProperty(
            destination_arn=stack.arns.log_group(stack.names.query_api_logs), format=json.dumps(_ACCESS_LOG)
        ),
    )
    stage.node.add_dependency(logs)
    for route in routes:  # settings can be given to a route that is there
        stage.add_resource_dependency(route)
