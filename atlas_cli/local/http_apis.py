"""API Gateway: HTTP APIs, whose requests go to functions.

ministack 1.5.33 makes up an id wherever a request has one, tells the client what a function failed of, and gives an
authorizer of a stack an identity source that nobody asked for. What stands here is what AWS does:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import contextvars
import os
from typing import Any

from ministack.services import apigateway
from ministack.services.cloudformation import provisioners

_INTEGRATION = "ministack-apigw-invoke"
"""What ministack calls a call of the function behind a route; it calls that of an authorizer something else."""
_FAILED = (500, '{"message":"Internal Server Error"}')
_BUSY = (503, '{"message":"Service Unavailable"}')

Answer = tuple[int, dict[str, Any], bytes]

_request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id")


def install() -> None:
    """Close the gaps."""
    _one_id_a_request()
    _functions_that_fail_in_silence()
    _authorizers_of_stacks()


def _one_id_a_request() -> None:
    """AWS tells functions and client the same id of a request; ministack each of them another one."""
    execute = apigateway.handle_execute

    async def handle_execute(*request: Any, **more: Any) -> Answer:
        made = base64.b64encode(os.urandom(11)).decode()
        token = _request_id.set(made)
        try:
            status, headers, body = await execute(*request, **more)
        finally:
            _request_id.reset(token)
        return status, {**headers, "apigw-requestid": made}, body

    apigateway.handle_execute = handle_execute


def _functions_that_fail_in_silence() -> None:
    """Of a function that fails AWS tells the client 500 and nothing else, and 503 of one that has no room.

    ministack answers 502 with the error's text, and 429. On the way, the request's id goes into the event.
    """
    run = apigateway.run_reentrant

    async def run_reentrant(function: Any, record: Any, event: dict[str, Any], **more: Any) -> Any:
        event["requestContext"]["requestId"] = _request_id.get(event["requestContext"]["requestId"])
        result = await run(function, record, event, **more)
        if more.get("thread_name") != _INTEGRATION or not (result.get("throttle") or result.get("error")):
            return result
        status, body = _BUSY if result.get("throttle") else _FAILED
        return {"body": {"statusCode": status, "body": body}}

    apigateway.run_reentrant = run_reentrant


def _authorizers_of_stacks() -> None:
    """Without an identity source the authorizer is called for every request, one without a token too.

    ministack takes `$request.header.Authorization` for one where a template names none, and answers 401 by itself.
    """
    known = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Authorizer"]
    create, update = known["create"], known["update"]

    def of_request(properties: dict[str, Any]) -> dict[str, Any]:
        return {"IdentitySource": [], **properties} if properties.get("AuthorizerType") == "REQUEST" else properties

    known["create"] = lambda logical_id, properties, stack: create(logical_id, of_request(properties), stack)
    known["update"] = lambda physical_id, old, new, stack: update(physical_id, old, of_request(new), stack)
