"""REST APIs that send requests to SQS by themselves: the integration's templates, its role, and what SQS answers.

On AWS the integration's role decides whether the queue may be sent to, and SQS answers API Gateway in JSON.
ministack 1.5.33 calls the queue with nobody's rights, and hands errors on as XML.
"""

from __future__ import annotations

import asyncio
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from ministack.services import apigateway_v1

from atlas_cli.local import service_roles, vtl

_SERVICE = "apigateway.amazonaws.com"
_DIGESTS = ("MD5OfMessageBody", "MD5OfMessageAttributes", "MD5OfMessageSystemAttributes")
_FAILED = "Internal server error"


@dataclass(frozen=True)
class _Exchange:
    """A request, and what the templates of its integration see beside a body."""

    integration: dict[str, Any]
    headers: Mapping[str, Any]
    parameters: Mapping[str, Mapping[str, str]]
    context: dict[str, Any]
    variables: Mapping[str, str]

    def render(self, template: str, body: str) -> str:
        return vtl.render(template, vtl.namespace(body, self.parameters, self.context, self.variables))

    def header(self, name: str) -> str:
        return str(apigateway_v1._header_ci(self.headers, name))


def invoker(endpoint: str, context_of_request: Callable[[], dict[str, Any]]) -> Callable[..., Any]:
    """What takes the place of ministack's `_invoke_sqs_v1`."""

    async def invoke(integration: dict[str, Any], *request: Any, **more: Any) -> Any:
        api_id, stage_name, stage, resource, path, method, headers, body, query_params, path_params = request
        context = {
            **context_of_request(),
            "accountId": more["owner_account_id"],
            "apiId": api_id,
            "authorizer": vtl.java(more.get("authorizer_context") or {}),
            "httpMethod": method,
            "identity": {"sourceIp": "127.0.0.1", "userAgent": apigateway_v1._header_ci(headers, "user-agent")},
            "path": f"/{stage_name}{path}",
            "requestOverride": {"header": {}, "path": {}, "querystring": {}},
            "resourcePath": resource["path"],
            "responseOverride": {"header": {}},
            "stage": stage_name,
        }
        parameters = {"path": path_params or {}, "querystring": _first(query_params), "header": _first(headers)}
        exchange = _Exchange(integration, headers, parameters, context, stage.get("variables") or {})
        text = (body or b"").decode("utf-8", "replace")
        try:
            template = _matching(integration.get("requestTemplates"), exchange.header("content-type"))
            if template is not None:
                text = exchange.render(template, text)
            return _answer(exchange, *await asyncio.to_thread(_call, endpoint, integration, text))
        except vtl.TemplateError as fault:
            apigateway_v1.logger.warning("a template of %s %s failed: %s", method, path, fault)
            return apigateway_v1._gw_error("DEFAULT_5XX", _FAILED)
        except (OSError, PermissionError) as fault:
            apigateway_v1.logger.warning("the integration of %s %s failed: %s", method, path, fault)
            return apigateway_v1._gw_error("INTEGRATION_FAILURE", _FAILED)

    return invoke


def as_json(xml: str) -> dict[str, Any]:
    """What SQS answers in its query protocol as API Gateway gets it, which asks for JSON."""
    tree = ET.fromstring(xml)  # noqa: S314 (our own emulator's)
    told = _members(tree)
    if _name(tree) == "ErrorResponse":
        return {"Error": told["Error"], "RequestId": told.get("RequestId")}
    if "SendMessageResult" in told:
        told["SendMessageResult"] = {
            name: told["SendMessageResult"].get(name) for name in (*_DIGESTS, "MessageId", "SequenceNumber")
        }
    return {_name(tree): told}


def _call(endpoint: str, integration: Mapping[str, Any], text: str) -> tuple[int, str]:
    """Calls SQS with the integration's role; its status and JSON."""
    region, _, _, queue = apigateway_v1._parse_service_integration_uri(integration["uri"])
    mapped = (integration.get("requestParameters") or {}).get("integration.request.header.Content-Type", "")
    # Without the mapping it is the client's own JSON, and SQS does not know what to do with it.
    headers = {"Content-Type": mapped.strip("'") or "application/json"}
    request = AWSRequest("POST", f"{endpoint}/{queue}", data=text.encode(), headers=headers)
    session = service_roles.acting(endpoint, integration["credentials"], _SERVICE)
    credentials: Any = session.get_credentials()
    SigV4Auth(credentials, "sqs", region).add_auth(request)
    answer = _http().send(request.prepare())
    return answer.status_code, json.dumps(as_json(answer.text), separators=(",", ":"))


@cache
def _http() -> URLLib3Session:
    return URLLib3Session(proxies={}, max_pool_connections=64)


def _answer(exchange: _Exchange, status: int, answer: str) -> Any:
    """What the client gets: by the integration response whose pattern the status fits."""
    chosen = apigateway_v1._select_service_integration_response(exchange.integration, status)
    if chosen is None:
        return apigateway_v1._gw_error("DEFAULT_5XX", _FAILED)
    given = {"Content-Type": "application/json"}
    for target, source in (chosen.get("responseParameters") or {}).items():
        value = source[1:-1] if source.startswith("'") else exchange.context.get(source.removeprefix("context."))
        if target.startswith("method.response.header.") and value is not None:
            given[target.removeprefix("method.response.header.")] = str(value)
    templates = chosen.get("responseTemplates")
    accepted = exchange.header("accept").split(",")[0]
    template = _matching(templates, accepted) or _matching(templates, "application/json")
    if template is not None:
        answer = exchange.render(template, answer)
    override = exchange.context["responseOverride"]
    given.update({name: str(value) for name, value in override["header"].items()})
    return int(override.get("status") or chosen["statusCode"]), given, answer.encode()


def _matching(templates: Mapping[str, str] | None, kind: str) -> str | None:
    wanted = (kind or "application/json").split(";")[0].strip().lower()
    return next((text for name, text in (templates or {}).items() if name.split(";")[0].lower() == wanted), None)


def _first(values: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in (values or {}).items()}


def _members(element: ET.Element) -> Any:
    return {_name(part): _members(part) for part in element} if len(element) else element.text


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
