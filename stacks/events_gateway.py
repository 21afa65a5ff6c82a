"""The REST API of events: tokens at POST /token, events at POST /events, straight into the queue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_sqs as sqs

from atlas import events
from stacks.arns import Arns
from stacks.base import AtlasStack
from stacks.events_identity import Identity
from stacks.events_problems import PROBLEM_JSON, PROBLEMS, UNAVAILABLE
from stacks.nag import acknowledge
from stacks.roles import Statement, allow, service_role

TEMPLATES = Path(__file__).with_name("templates")
STAGE = "v1"
"""The API's own stage, part of its paths."""
TOKENS_PER_SECOND = 10
"""Of POST /token, all clients together: a token lasts for twenty minutes."""
BURST = 2
"""How many seconds' requests may come at once."""
_TLS = "SecurityPolicy_TLS13_1_2_2021_06"
"""TLS 1.2 or 1.3; by itself, a REST API takes 1.0 as well:
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies.html"""
_JSON = "application/json"
_ACCESS_LOG = {
    "request_id": "$context.extendedRequestId",
    "time": "$context.requestTime",
    "client_id": "$context.authorizer.client_id",
    "ip_address": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "resource": "$context.resourcePath",
    "status": "$context.status",
    "refusal": "$context.error.responseType",
    "authorizer_status": "$context.authorizer.status",
    "integration_status": "$context.integration.status",
    "latency_ms": "$context.responseLatency",
    "response_bytes": "$context.responseLength",
}
"""A line a request, without what a client writes: no headers, no body, no query, no path but the resource's, and no
`$context.requestId`, which a client may choose."""


@dataclass(frozen=True)
class Gateway:
    """By what the API is found."""

    url: str
    id: str
    usage_plan: str


def gateway(stack: AtlasStack, who: Identity, requests: sqs.Queue) -> Gateway:
    """The API, deployed, with the plan that throttles its clients one by one."""
    throttle = stack.config.events
    api = apigateway.RestApi(
        stack,
        "EventsApi",
        rest_api_name=stack.names.events_api,
        description="Atlas: tokens and events",
        endpoint_types=[apigateway.EndpointType.REGIONAL],
        # The authorizer says which client a request is of: the plan throttles by that, not by what a client sends.
        api_key_source_type=apigateway.ApiKeySourceType.AUTHORIZER,
        # A setting of the account and region, not of a stage: docs/security.md.
        cloud_watch_role=False,
        deploy_options=apigateway.StageOptions(
            stage_name=STAGE,
            throttling_rate_limit=throttle.requests_per_second,
            throttling_burst_limit=BURST * throttle.requests_per_second,
            method_options={
                "/token/POST": apigateway.MethodDeploymentOptions(
                    throttling_rate_limit=TOKENS_PER_SECOND, throttling_burst_limit=BURST * TOKENS_PER_SECOND
                )
            },
            access_log_destination=apigateway.LogGroupLogDestination(
                stack.log_group("EventsApiLogs", stack.names.events_api_logs)
            ),
            access_log_format=apigateway.AccessLogFormat.custom(json.dumps(_ACCESS_LOG)),
        ),
    )
    api.node.try_remove_child("Endpoint")  # an output whose name nobody chose
    plain = api.node.default_child
    assert isinstance(plain, apigateway.CfnRestApi)  # noqa: S101 - for the type checker
    plain.security_policy, plain.endpoint_access_mode = _TLS, "STRICT"
    _problems(api)
    _tokens(api, who)
    _events(stack, api, who, requests)
    plan = apigateway.CfnUsagePlan(
        stack,
        "EventsUsagePlan",
        usage_plan_name=stack.names.usage_plan,
        description="What each client may send, by itself",
        api_stages=[
            apigateway.CfnUsagePlan.ApiStageProperty(api_id=api.rest_api_id, stage=api.deployment_stage.stage_name)
        ],
        throttle=apigateway.CfnUsagePlan.ThrottleSettingsProperty(
            rate_limit=throttle.client_requests_per_second,
            burst_limit=BURST * throttle.client_requests_per_second,
        ),
    )
    acknowledge(
        api.deployment_stage,
        "APIG3",
        "No web application firewall: it costs six dollars a month and more, idle or not, and a fee for each "
        "request. What it would stop is stopped otherwise: all requests but those for a token need a token, bodies "
        "are held to a schema, rates are bound for each client, for the stage and for tokens, and nothing here "
        "renders or executes what is sent.",
    )
    acknowledge(
        api.deployment_stage,
        "APIG6",
        "No execution log: it quotes what clients send, and is written to a log group that API Gateway makes by "
        "itself, outside of the stage's retention and key. The access log has a line for each request, with its "
        "status and what refused it, and nothing that a client wrote.",
    )
    return Gateway(url=api.url, id=api.rest_api_id, usage_plan=plan.ref)


def _problems(api: apigateway.RestApi) -> None:
    for kind, problem in PROBLEMS.items():
        api.add_gateway_response(
            "".join(part.capitalize() for part in kind.split("_")),
            type=apigateway.ResponseType.of(kind),
            status_code=str(problem.status.value),
            response_headers=_literal({"Content-Type": PROBLEM_JSON, **problem.headers}),
            templates={_JSON: problem.document()},
        )


def _tokens(api: apigateway.RestApi, who: Identity) -> None:
    method = api.root.add_resource("token").add_method(
        "POST",
        apigateway.LambdaIntegration(who.token, allow_test_invoke=False),
        authorization_type=apigateway.AuthorizationType.NONE,
        api_key_required=False,
    )
    for rule in ("APIG4", "COG4"):
        acknowledge(
            method,
            rule,
            "Here a client that has no token yet gets one: the function checks the client's own secret, in "
            "constant time, and the method is throttled by itself.",
        )


def _events(stack: AtlasStack, api: apigateway.RestApi, who: Identity, requests: sqs.Queue) -> None:
    names, problem = stack.names, {"Content-Type": PROBLEM_JSON}
    role = service_role(
        stack,
        "EventsApiRole",
        name=names.events_api_role,
        service="apigateway.amazonaws.com",
        description="The events API: accepted requests into their queue",
        statements=gateway_statements(stack.arns),
    )
    integration = apigateway.AwsIntegration(
        service="sqs",
        path=f"{stack.account}/{requests.queue_name}",
        integration_http_method="POST",
        options=apigateway.IntegrationOptions(
            credentials_role=role,
            # Whatever is no JSON is refused: it would come in unchecked.
            passthrough_behavior=apigateway.PassthroughBehavior.NEVER,
            request_parameters={"integration.request.header.Content-Type": "'application/x-www-form-urlencoded'"},
            request_templates={_JSON: _template("events_request")},
            integration_responses=[
                _response("202", "200", _template("events_response"), {}),
                _response("400", "400", _template("events_fault"), problem),
                # Whatever else comes back: only what is known to have been queued is accepted.
                _response("503", None, UNAVAILABLE.document(), {**problem, **UNAVAILABLE.headers}),
            ],
        ),
    )
    # A cache would be for all tokens alike: it would let in what has expired meanwhile, or whose client is gone.
    authorizer = apigateway.RequestAuthorizer(
        stack,
        "EventsAuthorizer",
        authorizer_name=names.authorizer_function,
        handler=who.authorizer,
        identity_sources=[],
        results_cache_ttl=Duration.seconds(0),
    )
    model = apigateway.CfnModel(
        stack,
        "EventsModel",
        rest_api_id=api.rest_api_id,
        name="Events",
        description="One event, or a list of them",
        content_type=_JSON,
        schema=events.schema(),  # the forwarder checks by the same file
    )
    validated = apigateway.Model.from_model_name(stack, "EventsModelByName", model.ref)
    method = api.root.add_resource("events").add_method(
        "POST",
        integration,
        authorizer=authorizer,
        authorization_type=apigateway.AuthorizationType.CUSTOM,
        api_key_required=True,
        # A body that calls itself something else is checked as well, before it is refused for that.
        request_models={_JSON: validated, "$default": validated},
        request_validator=api.add_request_validator(
            "EventsValidator",
            request_validator_name="events",
            validate_request_body=True,
            validate_request_parameters=True,
        ),
        method_responses=[
            _declared("202"),
            _declared("400", "Content-Type"),
            _declared("503", "Content-Type", *UNAVAILABLE.headers),
        ],
    )
    acknowledge(
        method,
        "COG4",
        "Clients are applications, not people: they have secrets of their own in Secrets Manager, which are "
        "renewed, and tokens for twenty minutes, which the authorizer of this stack checks claim by claim.",
    )
    # All that a deployment takes along is part of its name, so that a change is deployed. The CDK sees to the rest.
    assert api.latest_deployment  # noqa: S101 - for the type checker
    api.latest_deployment.add_to_logical_id({"model": events.schema()})


def _response(status: str, pattern: str | None, template: str, headers: Mapping[str, str]) -> Any:
    return apigateway.IntegrationResponse(
        status_code=status,
        selection_pattern=pattern,
        response_parameters={f"method.response.header.{name}": value for name, value in _literal(headers).items()},
        response_templates={_JSON: template},
    )


def _declared(status: str, *headers: str) -> apigateway.MethodResponse:
    return apigateway.MethodResponse(
        status_code=status,
        response_parameters={f"method.response.header.{name}": True for name in headers},
    )


def _literal(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with values that are meant as they stand."""
    return {name: f"'{value}'" for name, value in headers.items()}


def _template(name: str) -> str:
    return (TEMPLATES / f"{name}.vtl").read_text(encoding="utf-8")


def gateway_statements(arns: Arns) -> list[Statement]:
    """What the API may do."""
    return [allow("QueueRequests", ["sqs:SendMessage"], [arns.events_queue])]
