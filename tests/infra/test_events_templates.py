"""The events API's templates, rendered as API Gateway does it: what the queue gets, and what clients are told."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas import events
from atlas_cli.local import vtl
from lambda_events.forwarder_requests import Request, judge
from stacks.events_gateway import TEMPLATES

MOMENT = 1_795_202_958_087
EVENT = {"timestamp": "2026-11-20T19:29:18Z", "user_id": "u-1", "action": "login"}
OWN_ID = "0B6B4D2C-9C3B-4B0E-8A59-0D2E7F3C1A55"
UUID = "43d38e77-1111-4222-8333-0123456789ab"


def _render(template: str, body: str, context: dict[str, Any]) -> str:
    text = (TEMPLATES / f"{template}.vtl").read_text(encoding="utf-8")
    return vtl.render(text, vtl.namespace(body, {}, context, {}))


def _context(request_id: str = UUID) -> dict[str, Any]:
    return {
        "requestId": request_id,
        "extendedRequestId": "LfGY0EQMQ/lEx+I=",
        "requestTimeEpoch": MOMENT,
        "authorizer": vtl.java({"client_id": "web-shop"}),
        "requestOverride": {"header": {}, "path": {}, "querystring": {}},
        "responseOverride": {"header": {}},
    }


def _send(body: str, request_id: str = UUID) -> tuple[dict[str, str], Any]:
    """The parameters of the queue's call, and the client's answer."""
    context = _context(request_id)
    call = _render("events_request", body, context)
    answer = _render("events_response", json.dumps({"SendMessageResponse": {}}), context)
    assert context["responseOverride"] == {"header": {}}
    parameters = parse_qsl(call, keep_blank_values=True, strict_parsing=True)
    assert len(parameters) == len(dict(parameters))  # none twice
    return dict(parameters), json.loads(answer)


def _message(call: dict[str, str]) -> dict[str, Any]:
    """The queue's message as Lambda hands it to the forwarder."""
    names = [call[f"MessageAttribute.{number}.Name"] for number in range(1, len(events.ATTRIBUTES) + 1)]
    attributes = {
        name: {
            "dataType": call[f"MessageAttribute.{number}.Value.DataType"],
            "stringValue": call[f"MessageAttribute.{number}.Value.StringValue"],
        }
        for number, name in enumerate(names, start=1)
    }
    return {"messageId": "1", "body": call["MessageBody"], "messageAttributes": attributes}


_TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
_TRICKS = ("&MessageAttribute.1.Value.StringValue=other", "$context.identity.sourceIp", "#end", '"+%\n')


@given(text=_TEXT | st.sampled_from(_TRICKS))
def test_the_queue_gets_the_body_as_it_came_and_beside_it_only_what_the_server_says(text: str) -> None:
    body = json.dumps(EVENT | {"user_id": text, "client_id": "other", "received_at": text}, ensure_ascii=False)
    call, _ = _send(body)
    assert (call["Action"], call["Version"], call["MessageBody"]) == ("SendMessage", "2012-11-05", body)
    message = _message(call)
    assert len(call) == 3 + 3 * len(events.ATTRIBUTES)
    assert {each["dataType"] for each in message["messageAttributes"].values()} == {"String"}
    assert {name: each["stringValue"] for name, each in message["messageAttributes"].items()} == {
        events.CLIENT_ID: "web-shop",
        events.REQUEST_ID: "LfGY0EQMQ/lEx+I=",
        events.GATEWAY_REQUEST_ID: UUID,
        events.RECEIVED_AT: str(MOMENT),
    }


@pytest.mark.parametrize("request_id", [UUID, UUID.upper(), "a client's own", ""])
@pytest.mark.parametrize("count", [None, 1, 2, 11, 101, events.MOST_EVENTS])
def test_the_client_is_told_the_ids_that_the_forwarder_gives(count: int | None, request_id: str) -> None:
    sent = EVENT if count is None else [EVENT | ({"event_id": OWN_ID} if n % 3 == 1 else {}) for n in range(count)]
    call, answer = _send(json.dumps(sent), request_id)
    judged = judge(Request.of(_message(call)))
    stored = [json.loads(line) for line in judged.lines]
    assert len(stored) == (count or 1)
    assert [each["event_id"] for each in stored] == [given.lower() for given in answer["event_ids"]]
    assert {each["event_id"] for each in stored if each["event_id"] != OWN_ID.lower()} <= {
        events.given_event_id(str(MOMENT), request_id, position) for position in range(1, len(stored) + 1)
    }
    assert answer == {
        "request_id": stored[0]["request_id"],
        "accepted": len(stored),
        "event_ids": answer["event_ids"],
    }


@pytest.mark.parametrize("body", ["", "[]", "{}"])
def test_a_body_without_events_makes_a_message_that_the_queue_refuses(body: str) -> None:
    call = dict(parse_qsl(_render("events_request", body, _context()), strict_parsing=True))
    assert call["Action"] == "SendMessage"
    assert "MessageBody" not in call


def _sqs_error(code: str, message: str) -> str:
    return json.dumps({"Error": {"Code": code, "Message": message, "Type": "Sender"}, "RequestId": UUID})


@pytest.mark.parametrize(
    ("code", "message", "status"),
    [
        (
            "InvalidParameterValue",
            "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
            413,
        ),
        ("InvalidMessageContents", "Invalid binary character '#x1' was found in the message body", 400),
        ("MissingParameter", "The request must contain the parameter MessageBody.", 400),
        ("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.", 503),
        ("KMS.ThrottlingException", "You have exceeded the rate at which you may call KMS.", 503),
    ],
)
def test_what_the_queue_refuses_is_told_with_the_status_of_its_cause(code: str, message: str, status: int) -> None:
    context = _context()
    problem = json.loads(_render("events_fault", _sqs_error(code, message), context))
    assert int(context["responseOverride"].get("status", 400)) == problem["status"] == status
    assert problem.keys() == {"type", "title", "status", "detail"}
    assert problem["title"] in ("Content Too Large", HTTPStatus(status).phrase)
    assert code not in json.dumps(problem)
