"""The mapping templates of API Gateway: Velocity (VTL), rendered by airspeed, with `$input` and `$util`.

airspeed's expressions are Python's. Here they are Java's where templates tell the difference: the methods of
strings, maps and lists, and what `#if` takes for true. What a template gets wrong is an error, as on AWS, where the
client then gets 500. https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import airspeed  # type: ignore[import-untyped]
from airspeed import operators

Namespace = dict[str, Any]

_STEP = re.compile(r"""\.([A-Za-z_][\w-]*)|\['([^']*)'\]|\["([^"]*)"\]|\[(\d+)\]""")
_GROUP = re.compile(r"\\(.)|\$(\d)", re.DOTALL)
_UNSAFE = re.compile(r"""['"\\/\x00-\x1f\x7f-\U0010ffff]""")
_SHORT = {"\b": "\\b", "\n": "\\n", "\t": "\\t", "\f": "\\f", "\r": "\\r"}


class TemplateError(Exception):
    """A template cannot be rendered. The message says which and why; it may quote the request."""


def render(template: str, namespace: Namespace) -> str:
    """The text that a template gives; `#set($context...)` changes `namespace["context"]`. Raises TemplateError."""
    try:
        text: str = _compiled(template).merge(namespace)
    except Exception as fault:  # whatever the template's own expressions raise
        raise TemplateError(f"{type(fault).__name__}: {fault}") from fault
    return text


def namespace(
    body: str, parameters: Mapping[str, Mapping[str, str]], context: Mapping[str, Any], variables: Mapping[str, str]
) -> Namespace:
    """What a template sees. `parameters` are those of `path`, `querystring` and `header`."""
    seen: Namespace = {"input": Input(body, parameters), "util": Util(), "context": context}
    return {**seen, "stageVariables": java(dict(variables))}


def first_json(text: str) -> tuple[Any, str]:
    """The JSON value at the beginning of a text, and the text that it takes; what follows it is not looked at.

    So reads Jackson, by which API Gateway validates and parses. Raises ValueError.
    """
    start = len(text) - len(text.lstrip(" \t\r\n"))
    value, end = _DECODER.raw_decode(text, start)
    return value, text[start:end]


class Input:
    """`$input`: what came in, of the client or, in a response template, of the integration."""

    def __init__(self, body: str, parameters: Mapping[str, Mapping[str, str]]) -> None:
        self.body = body or "{}"
        self._parameters = {place: dict(parameters.get(place, {})) for place in ("path", "querystring", "header")}

    def path(self, path: str) -> Any:
        """The value at a JSONPath of names and numbers; an empty text if there is none."""
        found = self._find(path)
        return "" if found is None else java(found)

    def json(self, path: str) -> str:
        """The same as JSON."""
        return json.dumps(self._find(path), ensure_ascii=False, separators=(",", ":"))

    def params(self, name: str | None = None) -> Any:
        """One parameter of the request, looked for in path, query and headers; or all of them."""
        if name is None:
            return java(self._parameters)
        return next((found[name] for found in self._parameters.values() if name in found), "")

    def _find(self, path: str) -> Any:
        value, _ = first_json(self.body)
        position = 1
        while position < len(path):
            step = _STEP.match(path, position)
            if step is None or path[0] != "$":
                raise ValueError(f"the local cloud does not know the JSONPath {path}")
            name = step[1] or step[2] or step[3]
            if name is not None:
                value = value.get(name) if isinstance(value, dict) else None
            else:
                number = int(step[4])
                value = value[number] if isinstance(value, list) and number < len(value) else None
            position = step.end()
        return value


class Util:
    """`$util`, whose functions have the names that AWS gave them."""

    def parseJson(self, text: str) -> Any:  # noqa: N802
        """A JSON text's value."""
        return java(first_json(text)[0])

    def urlEncode(self, text: str) -> str:  # noqa: N802
        """As java.net.URLEncoder does it."""
        return quote_plus(str(text), safe="*").replace("~", "%7E")

    def urlDecode(self, text: str) -> str:  # noqa: N802
        """The inverse of it."""
        return unquote_plus(text)

    def base64Encode(self, text: str) -> str:  # noqa: N802
        """Of the text's UTF-8 bytes."""
        return base64.b64encode(text.encode()).decode()

    def base64Decode(self, text: str) -> str:  # noqa: N802
        """The inverse of it."""
        return base64.b64decode(text).decode()

    def escapeJavaScript(self, text: Any) -> str:  # noqa: N802
        """As Commons Lang does it: single quotes and slashes too, and everything beyond ASCII."""
        return _UNSAFE.sub(_escaped, operators.value_to_string(text))


class JavaMap(dict[str, Any]):
    """A java.util.Map, as templates print it."""

    def __str__(self) -> str:
        return "{" + ", ".join(f"{key}={operators.value_to_string(value)}" for key, value in self.items()) + "}"


class JavaList(list[Any]):
    """A list that came of JSON, which API Gateway prints as JSON."""

    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False, separators=(",", ":"))


def java(value: Any) -> Any:
    """A value of JSON with its maps and lists as templates know them."""
    if isinstance(value, dict):
        return JavaMap({key: java(item) for key, item in value.items()})
    return JavaList(map(java, value)) if isinstance(value, list) else value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


@cache
def _compiled(template: str) -> Any:
    return airspeed.Template(template)


def _escaped(found: re.Match[str]) -> str:
    letter = found[0]
    if letter in "'\"\\/":
        return "\\" + letter
    units = letter.encode("utf-16-be", "surrogatepass")
    return _SHORT.get(letter) or "".join(f"\\u{units[n]:02X}{units[n + 1]:02X}" for n in range(0, len(units), 2))


def _replace(text: str, pattern: str, replacement: str, count: int = 0) -> str:
    """With a replacement as Java writes it: `$1` is a group, and a backslash takes a character as it is."""

    def expand(found: re.Match[str]) -> str:
        return _GROUP.sub(lambda part: part[1] if part[1] else str(found[int(part[2])] or ""), replacement)

    return re.sub(pattern, expand, text, count=count, flags=re.ASCII)


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= stop <= len(text):
        raise IndexError(f"substring({start}, {stop}) of {len(text)} characters")
    return text[start:stop]


def _split(text: str, pattern: str) -> list[str]:
    parts = re.split(pattern, text, flags=re.ASCII)
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return JavaList(parts)


def _add(items: list[Any], item: Any) -> bool:
    items.append(item)
    return True


_STRING: dict[str, Callable[..., Any]] = {
    "charAt": lambda text, number: text[number],
    "concat": lambda text, more: text + more,
    "contains": lambda text, part: part in text,
    "endsWith": str.endswith,
    "equals": lambda text, other: text == other,
    "equalsIgnoreCase": lambda text, other: text.lower() == str(other).lower(),
    "indexOf": str.find,
    "isEmpty": lambda text: not text,
    "lastIndexOf": str.rfind,
    "length": len,
    "matches": lambda text, pattern: re.fullmatch(pattern, text, re.ASCII) is not None,
    "replace": str.replace,
    "replaceAll": _replace,
    "replaceFirst": lambda text, pattern, replacement: _replace(text, pattern, replacement, 1),
    "split": _split,
    "startsWith": str.startswith,
    "substring": _substring,
    "toLowerCase": str.lower,
    "toString": str,
    "toUpperCase": str.upper,
    "trim": lambda text: text.strip("".join(map(chr, range(33)))),
}
_MAP: dict[str, Callable[..., Any]] = {
    "containsKey": lambda pairs, key: key in pairs,
    "entrySet": lambda pairs: [JavaMap(key=key, value=value) for key, value in pairs.items()],
    "get": dict.get,
    "isEmpty": lambda pairs: not pairs,
    "keySet": list,
    "put": operators.dict_put,
    "remove": lambda pairs, key: pairs.pop(key, None),
    "size": len,
    "values": lambda pairs: list(pairs.values()),
}
_LIST: dict[str, Callable[..., Any]] = {
    "add": _add,
    "contains": lambda items, item: item in items,
    "get": lambda items, number: items[number],
    "isEmpty": lambda items: not items,
    "size": len,
}
_NUMBER: dict[str, Callable[..., Any]] = {"toString": operators.value_to_string}
_METHODS: tuple[tuple[type, dict[str, Callable[..., Any]]], ...] = (
    (str, _STRING),
    (dict, _MAP),
    (list, _LIST),
    (int, _NUMBER),
)


def _speak_java() -> None:
    """Calls mean Java's methods, also those that Python has under the same name (`split`) or lacks.

    And nothing is false in a condition, which airspeed takes for true, and its contrary for false.
    """
    calculate = operators.NameOrCall.calculate

    def name_or_call(self: Any, value: Any, loader: Any, top: Any) -> Any:
        if self.parameters is not None and value is not top and not isinstance(value, operators.LocalNamespace):
            for kind, methods in _METHODS:
                if isinstance(value, kind) and self.name in methods:
                    return methods[self.name](value, *self.parameters.calculate(top, loader))
        return calculate(self, value, loader, top)

    operators.NameOrCall.calculate = name_or_call
    operators.Condition.calculate = lambda self, names, loader: bool(self.expression.calculate(names, loader))
    operators.UnaryOperatorValue.calculate = lambda self, names, loader: not self.value.calculate(names, loader)


_speak_java()
