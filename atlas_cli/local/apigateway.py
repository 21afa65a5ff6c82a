"""API Gateway: REST APIs whose requests go to a queue, and who may send how many.

ministack 1.5.33 knows a subset of the template language and of `$context`, runs the integration without its role,
and forgets the client's key that an authorizer names. What stands here is what AWS does:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
"""

from __future__ import annotations

import base64
import contextvars
import json
import os
import time
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import apigateway_v1
from ministack.services.cloudformation import provisioners

from atlas_cli.local import queue_integration, vtl
from atlas_cli.local.model_errors import ecma, validation_error_string

MOST_BYTES = 10 * 1024 * 1024
"""Of a request's body: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html"""

Answer = tuple[int, dict[str, Any], bytes]


@dataclass
class Request:
    """What the gateway knows of the request that is being answered."""

    id: str
    extended_id: str = field(default_factory=lambda: base64.urlsafe_b64encode(os.urandom(11)).decode())
    epoch: float = field(default_factory=time.time)
    client_key: str = ""
    """The API key that the authorizer named."""
    invalid: str = ""
    """What is wrong with the body."""

    def context(self) -> dict[str, Any]:
        """`$context`, as far as it is the same for all of a request's answers."""
        return {
            "requestId": self.id,
            "extendedRequestId": self.extended_id,
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(self.epoch)),
            "requestTimeEpoch": int(self.epoch * 1000),
            "protocol": "HTTP/1.1",
        }


_current: contextvars.ContextVar[Request] = contextvars.ContextVar("request")


def install(endpoint: str) -> None:
    """Close the gaps."""
    _requests_with_ids()
    _answers_of_the_gateway()
    _failures_that_nobody_hears_of()
    _keys_that_authorizers_name()
    _bodies_that_models_refuse()
    _whole_lines_in_patterns()
    _apis_of_stacks()
    apigateway_v1._invoke_sqs_v1 = queue_integration.invoker(endpoint, lambda: _current.get().context())


def _requests_with_ids() -> None:
    """AWS tells a request apart by two ids, in `$context`, in functions' events and in the answer's headers.

    The client may choose the first. ministack makes up new ones wherever one is told. And AWS takes 10 MB.
    """
    build = apigateway_v1._build_lambda_event_v1

    async def handle(api_id: str, stage_name: str, *request: Any) -> Answer:
        _, _, headers, body, query_params = request[:5]
        current = Request(apigateway_v1._header_ci(headers, "x-amzn-requestid") or new_uuid())
        told = {
            "api_id": api_id,
            "stage_name": stage_name,
            "stage": apigateway_v1._stages_v1.get(api_id, {}).get(stage_name),
            "headers": headers or {},
            "query_params": query_params or {},
            "path_params": {},
            "resource_path": "",
            "request_id": current.id,
        }
        token = _current.set(current)
        try:
            if told["stage"] and len(body or b"") > MOST_BYTES:
                answer: Any = apigateway_v1._gw_error("REQUEST_TOO_LARGE", "Request Too Long")
            else:
                answer = await apigateway_v1._execute_in_scope(told, api_id, stage_name, *request)
            if isinstance(answer, apigateway_v1._GatewayError):
                answer = apigateway_v1._gateway_error_response(answer, told)
        finally:
            _current.reset(token)
        status, given, content = answer
        kept = {name: value for name, value in given.items() if name.lower() != "x-amzn-requestid"}
        return status, {**kept, "x-amzn-requestid": current.id, "x-amz-apigw-id": current.extended_id}, content

    def build_event(*arguments: Any, **more: Any) -> Any:
        event = build(*arguments, **more)
        event["requestContext"].update(_current.get().context())
        return event

    apigateway_v1._handle_execute_in_scope = handle
    apigateway_v1._build_lambda_event_v1 = build_event


def _answers_of_the_gateway() -> None:
    """AWS's gateway responses know all of `$context`, with what is wrong with a body; ministack some of it."""
    answer, header_value = apigateway_v1._gateway_error_response, apigateway_v1._gateway_request_value

    def gateway_error_response(error: Any, request: Any) -> Answer:
        status, headers, body = answer(error, request)
        current = _current.get(None)
        if current is None:  # a signature that was refused before the request came so far
            return status, headers, body
        known = {f"context.{name}": str(value) for name, value in current.context().items()}
        # In a template it stands between quotation marks, and AWS escapes it for that.
        known["context.error.validationErrorString"] = json.dumps(current.invalid, ensure_ascii=False)[1:-1]
        filled = apigateway_v1._GATEWAY_TEMPLATE_VARIABLE.sub(
            lambda found: known.get(found[1] or found[2], found[0]), body.decode()
        )
        return status, headers, filled.encode()

    def gateway_request_value(source: str, request: Any) -> Any:
        current = _current.get(None)
        if current is not None and source.startswith("context."):
            found = current.context().get(source.removeprefix("context."))
            return found if found is None else str(found)
        return header_value(source, request)

    apigateway_v1._gateway_error_response = gateway_error_response
    apigateway_v1._gateway_request_value = gateway_request_value


def _failures_that_nobody_hears_of() -> None:
    """Of a function that fails AWS tells the client 502 and nothing else; ministack tells the error's text."""
    respond = apigateway_v1._lambda_proxy_response

    def lambda_proxy_response(result: Any) -> Any:
        response, error = respond(result)
        return response, "Internal server error" if error else None

    apigateway_v1._lambda_proxy_response = lambda_proxy_response


def _keys_that_authorizers_name() -> None:
    """If an API's key source is AUTHORIZER, the client's key is the authorizer's `usageIdentifierKey`.

    ministack goes by the header in any case. Not here: keys of answers that the gateway has cached.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-key-source.html
    """
    invoke, check = apigateway_v1._invoke_authorizer_lambda, apigateway_v1._check_api_key

    async def invoke_authorizer(authorizer: Any, event: dict[str, Any], *owner: str) -> Any:
        current = _current.get()
        if "requestContext" in event:
            event["requestContext"].update(current.context())
        result = await invoke(authorizer, event, *owner)
        policy = (result or {}).get("body")
        if isinstance(policy, dict) and not result.get("error"):
            current.client_key = policy.get("usageIdentifierKey") or ""
        return result

    def check_api_key(method: Any, api_id: str, stage_name: str, headers: dict[str, Any]) -> Any:
        if (apigateway_v1._rest_apis.get(api_id) or {}).get("apiKeySource") == "AUTHORIZER":
            headers = {"x-api-key": _current.get().client_key}
        return check(method, api_id, stage_name, headers)

    apigateway_v1._invoke_authorizer_lambda = invoke_authorizer
    apigateway_v1._check_api_key = check_api_key


def _bodies_that_models_refuse() -> None:
    """What is wrong with a body is told, to whoever asks for `$context.error.validationErrorString`.

    A body of a type that has no model is not validated, and what follows the first JSON value is not looked at:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-method-request-validation.html
    """
    check = apigateway_v1._check_request_validation

    def check_request_validation(method: dict[str, Any], api_id: str, request: Any, *sent: Any) -> Any:
        headers, body, query_params = sent
        kind = apigateway_v1._header_ci(headers, "content-type") or "application/json"
        models = method.get("requestModels") or {}
        model = models.get(kind.split(";", 1)[0].strip()) or models.get("$default")
        method = {**method, "requestModels": {"application/json": model} if model else {}}
        if model is None:
            return check(method, api_id, request, *sent)
        try:
            value, text = vtl.first_json((body or b"").decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return check(method, api_id, request, headers, b"", query_params)
        error = check(method, api_id, request, headers, text, query_params)
        if error is not None and error.response_type == "BAD_REQUEST_BODY":
            _current.get().invalid = validation_error_string(apigateway_v1._model_schema(api_id, model), value)
        return error

    apigateway_v1._check_request_validation = check_request_validation


def _whole_lines_in_patterns() -> None:
    """Ministack takes the patterns of models for Python's."""
    search = apigateway_v1._regex_search
    apigateway_v1._regex_search = lambda pattern, text: search(ecma(pattern), text)


def _apis_of_stacks() -> None:
    """A stack of ministack forgets who says which key a client has, and that bodies are to be validated."""
    handlers = provisioners._RESOURCE_HANDLERS
    create_api, create_method = handlers["AWS::ApiGateway::RestApi"]["create"], provisioners._apigw_method_create

    def rest_api(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        api_id, attributes = create_api(logical_id, properties, stack)
        apigateway_v1._rest_apis[api_id]["apiKeySource"] = properties.get("ApiKeySourceType", "HEADER")
        return api_id, attributes

    def method(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        made = create_method(logical_id, properties, stack)
        resource = apigateway_v1._resources[properties["RestApiId"]][properties["ResourceId"]]
        put = resource["resourceMethods"][properties["HttpMethod"]]
        put["requestValidatorId"] = properties.get("RequestValidatorId")
        return made

    def validator(_logical_id: str, properties: dict[str, Any], _stack: str) -> tuple[str, dict[str, str]]:
        names = ("name", "validateRequestBody", "validateRequestParameters")
        wanted = {name: properties.get(name[0].upper() + name[1:]) for name in names}
        made = json.loads(apigateway_v1._create_request_validator(properties["RestApiId"], wanted)[2])["id"]
        return made, {"RequestValidatorId": made}

    provisioners._apigw_method_create = method
    handlers["AWS::ApiGateway::RestApi"]["create"] = rest_api
    handlers["AWS::ApiGateway::Method"]["create"] = method
    handlers["AWS::ApiGateway::RequestValidator"] = {
        "create": validator,
        "update": lambda physical_id, _old, new, stack: validator(physical_id, new, stack),
        "delete": lambda physical_id, old: apigateway_v1._delete_request_validator(old["RestApiId"], physical_id),
    }
