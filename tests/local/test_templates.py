"""API Gateway's templates, and its words for what is wrong with a body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from atlas_cli.local import queue_integration, queues, vtl
from atlas_cli.local.model_errors import validation_error_string

BODY = """{"a":{"b":[1,{"c":"x"}]},"e":"","n":null,"t":true,"é":"ü"} rest"""
PARAMETERS = {"path": {"p": "1"}, "querystring": {"p": "2", "q": "3"}, "header": {"H": "4"}}


def rendered(template: str, context: dict[str, Any] | None = None) -> str:
    return vtl.render(template, vtl.namespace(BODY, PARAMETERS, context or {}, {"v": "5"}))


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("$input.path('$.a.b[1].c')|$input.path('$.a.x')|$input.path('$.a.b').size()", "x||2"),
        ("$input.json('$.a') $input.json('$.t')", '{"b":[1,{"c":"x"}]} true'),
        ("$input.path('$.a') $input.path('$.a.b')", '{b=[1,{"c":"x"}]} [1,{"c":"x"}]'),
        ("$input.params('p')$input.params('q')$input.params('H')$input.params('-')$stageVariables.v", "1345"),
        ("$input.body.length() $input.path(\"$['é']\")", f"{len(BODY)} ü"),
        ("#set($s = '1-2')$s.substring(0, 1)$s.split('-').get(1)$s.replaceAll('(.)-', '$1+')$s.trim()", "121+21-2"),
        (
            "#set($s = 'aBc')$s.matches('[a-z]+')$s.toLowerCase().matches('[a-z]+')$s.startsWith('aB')",
            "falsetruetrue",
        ),
        ("#set($s = 'a.b..')$s.split('[.]').size()$s.indexOf('x')$s.contains('.')$s.isEmpty()", "2-1truefalse"),
        ("#set($m = {'k': 1})$m.containsKey('k')$m.get('x')$m.put('x', 2)$m.size()$m.keySet().size()", "true22"),
        ("#set($l = [3])#set($ok = $l.add(4))$ok$l.size()$l.get(1)$l.isEmpty()", "true24false"),
        ("#foreach($x in [1..3])$foreach.index$x#if($foreach.hasNext),#end#end", "01,12,23"),
        ("#if($none)a#elseif(!$none)b#{else}c#end#if(7 / 2 == 3 && 7 % 2 == 1)d#end", "bd"),
        ("$none$!none${none}", ""),
        ("$util.urlEncode('a b&ü~*/')", "a+b%26%C3%BC%7E*%2F"),
        ("$util.urlDecode('a+b%26') $util.base64Decode($util.base64Encode('ü'))", "a b& ü"),
        ('$util.parseJson(\'{"x":["y"]} more\').x[0]', "y"),
        ("$util.escapeJavaScript('\"/\\ü')", '\\"\\/\\\\\\u00FC'),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_a_template_means_what_it_means_on_aws(template: str, text: str) -> None:
    assert rendered(template) == text


def test_what_a_template_keeps_in_an_override_is_there_for_the_next() -> None:
    kept: dict[str, Any] = {"requestOverride": {"path": {}}}
    assert rendered("#set($context.requestOverride.path.x = $input.path('$.a.b[1]'))", kept) == ""
    assert rendered("$context.requestOverride.path.x.c", kept) == "x"


@pytest.mark.parametrize(
    "template",
    [
        "$input.body.substring(0, 999)",
        "$util.parseJson('{')",
        "$input.path('$..b')",
        "$util.parseJson('NaN')",
    ],
)
def test_what_a_template_gets_wrong_is_an_error(template: str) -> None:
    with pytest.raises(vtl.TemplateError):
        rendered(template)


SCHEMA = {
    "type": ["object", "array"],
    "maxItems": 2,
    "items": {"$ref": "#/definitions/item"},
    "required": ["a", "b"],
    "maxProperties": 3,
    "additionalProperties": False,
    "properties": {"a": {"type": "string", "minLength": 1, "maxLength": 2}, "b": {"type": "number", "maximum": 5}},
    "patternProperties": {"^x": {"enum": [1, "y"]}},
    "definitions": {"item": {"type": "integer"}},
}


@pytest.mark.parametrize(
    ("value", "errors"),
    [
        ({"a": "z", "b": 5, "x": 1}, []),
        ([1, 2], []),
        ({}, ['object has missing required properties (["a","b"])']),
        ([1, 2, 3], ["array is too long: must have at most 2 elements but instance has 3 elements"]),
        (["1"], ['instance type (string) does not match any allowed primitive type (allowed: ["integer"])']),
        ("1", ['instance type (string) does not match any allowed primitive type (allowed: ["array","object"])']),
        ({"a": "", "b": 6}, [
            'string "" is too short (length: 0, required minimum: 1)',
            "numeric instance is greater than the required maximum (maximum: 5, found: 6)",
        ]),
        ({"a": "zzz", "b": 1, "x": 2}, [
            'string "zzz" is too long (length: 3, maximum allowed: 2)',
            'instance value (2) not found in enum (possible values: [1,"y"])',
        ]),
        # What is wrong deeper down is not looked at.
        ({"a": "", "z": 1, "x": 1, "y": 1}, [
            'object instance has properties which are not allowed by the schema: ["y","z"]',
            "object has too many properties (found 4 but schema requires at most 3)",
            'object has missing required properties (["b"])',
        ]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_body_is_told_in_the_words_of_aws(value: Any, errors: list[str]) -> None:
    assert validation_error_string(SCHEMA, value) == f"[{', '.join(errors)}]"


def test_what_sqs_answers_comes_to_api_gateway_as_json() -> None:
    space = 'xmlns="http://queue.amazonaws.com/doc/2012-11-05/"'
    error = "<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error>"
    sent = "<SendMessageResult><MessageId>m</MessageId></SendMessageResult>"
    meta = "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
    assert queue_integration.as_json(f"<ErrorResponse {space}>{error}<RequestId>r</RequestId></ErrorResponse>") == {
        "Error": {"Type": "Sender", "Code": "AccessDenied", "Message": "no"},
        "RequestId": "r",
    }
    told = queue_integration.as_json(f"<SendMessageResponse {space}>{sent}{meta}</SendMessageResponse>")
    result = told["SendMessageResponse"]["SendMessageResult"]
    assert (result["MessageId"], result["SequenceNumber"]) == ("m", None)
    assert json.dumps(told["SendMessageResponse"]["ResponseMetadata"]) == '{"RequestId": "r"}'


def test_a_messages_attributes_are_part_of_its_length() -> None:
    assert queues.length("ü", {"name": {"DataType": "String", "StringValue": "é"}}) == 2 + 4 + 6 + 2
