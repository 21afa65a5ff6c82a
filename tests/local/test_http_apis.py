"""HTTP APIs as the query API needs them: a function behind a route, an authorizer before it, one id a request."""

from __future__ import annotations

import json
from typing import Any

import pytest
import urllib3

from atlas_cli.local.emulator import Emulator
from tests.local.made import Made
from tests.local.test_event_services import function

ANSWERS = """
    import json
    def handler(event, context):
        if event["rawPath"] == "/fails":
            raise ValueError("nobody's business")
        told = event["requestContext"]
        body = {"id": told["requestId"], "path": event["rawPath"], "authorizer": told.get("authorizer")}
        return {"statusCode": 200, "body": json.dumps(body)}
"""
AUTHORIZER = """
    def handler(event, context):
        token = event["headers"].get("authorization", "none")
        return {"isAuthorized": True, "context": {"token": token, "id": event["requestContext"]["requestId"]}}
"""


@pytest.fixture(scope="module")
def api(cloud: Emulator) -> str:
    """What its address begins with. Made by a stack, as ours is."""
    answers, authorizer = Made(cloud), Made(cloud)
    called = function(answers, ANSWERS)
    asked = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function(authorizer, AUTHORIZER)}"
    of_api = {"ApiId": {"Ref": "Api"}}
    target = {"Fn::Join": ["/", ["integrations", {"Ref": "Answers"}]]}
    made = {
        "Api": ("Api", {"Name": answers.name, "ProtocolType": "HTTP"}),
        "Answers": (
            "Integration",
            {
                **of_api,
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": called,
                "PayloadFormatVersion": "2.0",
            },
        ),
        "Authorizer": (
            "Authorizer",
            {
                **of_api,
                "Name": "a",
                "AuthorizerType": "REQUEST",
                "AuthorizerUri": f"{asked}/invocations",
                "AuthorizerPayloadFormatVersion": "2.0",
                "EnableSimpleResponses": True,
                "AuthorizerResultTtlInSeconds": 0,
            },
        ),
        "Public": ("Route", {**of_api, "RouteKey": "GET /public/{proxy+}", "Target": target}),
        "Rest": (
            "Route",
            {
                **of_api,
                "RouteKey": "$default",
                "Target": target,
                "AuthorizationType": "CUSTOM",
                "AuthorizerId": {"Ref": "Authorizer"},
            },
        ),
        "Stage": ("Stage", {**of_api, "StageName": "$default", "AutoDeploy": True}),
    }
    resources = {
        name: {"Type": f"AWS::ApiGatewayV2::{kind}", "Properties": properties}
        for name, (kind, properties) in made.items()
    }
    template = {"Resources": resources, "Outputs": {"Id": {"Value": {"Ref": "Api"}}}}
    stacks = answers.session.client("cloudformation")
    stacks.create_stack(StackName=answers.name, TemplateBody=json.dumps(template))
    stacks.get_waiter("stack_create_complete").wait(StackName=answers.name, WaiterConfig={"Delay": 1})
    [stack] = stacks.describe_stacks(StackName=answers.name)["Stacks"]
    return f"http://127.0.0.1:{cloud.port}/_aws/execute-api/{stack['Outputs'][0]['OutputValue']}"


def _ask(api: str, path: str, **headers: str) -> tuple[urllib3.BaseHTTPResponse, Any]:
    answer = urllib3.request("GET", api + path, headers=headers, retries=False, timeout=30)
    return answer, answer.json()


def test_the_authorizer_hears_of_requests_without_a_token_too_and_of_no_public_ones(api: str) -> None:
    for headers, token in (({}, "none"), ({"Authorization": "Bearer x"}, "Bearer x")):
        answer, told = _ask(api, "/some/where", **headers)
        assert answer.status == 200
        assert told["path"] == "/some/where"
        assert told["authorizer"]["lambda"]["token"] == token
    assert _ask(api, "/public/page.js")[1]["authorizer"] is None


def test_a_request_has_one_id_whoever_is_told_it(api: str) -> None:
    answer, told = _ask(api, "/some/where")
    assert {told["id"], told["authorizer"]["lambda"]["id"]} == {answer.headers["apigw-requestid"]}
    assert _ask(api, "/some/where")[1]["id"] != told["id"]


def test_nobody_is_told_what_a_function_failed_of(api: str) -> None:
    answer, told = _ask(api, "/fails")
    assert (answer.status, told) == (500, {"message": "Internal Server Error"})
