"""What is wrong with a body that does not fit its model: `$context.error.validationErrorString`, as AWS words it.

AWS validates with the Java library json-schema-validator (JSON Schema draft 4), whose messages these are. It looks
into what an object or a list holds only if the object or list itself is right, and names no places: only the
messages of missing and of unknown properties have names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_TYPES: dict[str, Callable[[Any], bool]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, float),
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}


def validation_error_string(schema: Schema, value: Any) -> str:
    """`[message, message]`: everything that is wrong with the value, an empty list if nothing is."""
    return "[" + ", ".join(_errors(schema, value, schema)) + "]"


def ecma(pattern: str) -> str:
    """A pattern of JSON Schema for Python: in ECMA 262 `$` is the end, in Python also before a last line break."""
    return re.sub(r"(?<!\\)\$$", r"\\Z", pattern)


def _errors(schema: Schema, value: Any, root: Schema) -> Iterator[str]:
    while "$ref" in schema:
        schema = _resolved(schema["$ref"], root)
    found = list(_own_errors(schema, value))
    yield from found
    if found:
        return
    if isinstance(value, dict):
        for name, item in value.items():
            for part in _of_property(schema, name):
                yield from _errors(part, item, root)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            yield from _errors(schema["items"], item, root)


def _resolved(pointer: str, root: Schema) -> Schema:
    found: Any = root
    for part in pointer.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def _of_property(schema: Schema, name: str) -> list[Schema]:
    patterns = schema.get("patternProperties", {})
    parts = [part for pattern, part in patterns.items() if re.search(ecma(pattern), name)]
    if name in schema.get("properties", {}):
        parts.append(schema["properties"][name])
    more = schema.get("additionalProperties")
    return parts or ([more] if isinstance(more, dict) else [])


def _own_errors(schema: Schema, value: Any) -> Iterator[str]:
    """Those of the value itself, not of what it holds."""
    allowed = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    kind = next(name for name, fits in _TYPES.items() if fits(value))
    if allowed and kind not in allowed and not (kind == "integer" and "number" in allowed):
        types = _json(sorted(allowed))
        yield f"instance type ({kind}) does not match any allowed primitive type (allowed: {types})"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"instance value ({_json(value)}) not found in enum (possible values: {_json(schema['enum'])})"
    elif isinstance(value, dict):
        yield from _errors_of_object(schema, value)
    elif isinstance(value, list):
        yield from _errors_of_list(schema, value)
    elif isinstance(value, str):
        yield from _errors_of_string(schema, value)
    elif kind in ("integer", "number"):
        yield from _errors_of_number(schema, value)


def _errors_of_object(schema: Schema, value: dict[str, Any]) -> Iterator[str]:
    unknown = [name for name in value if not _of_property(schema, name)]
    if unknown and schema.get("additionalProperties") is False:
        yield f"object instance has properties which are not allowed by the schema: {_json(sorted(unknown))}"
    if len(value) > schema.get("maxProperties", len(value)):
        most = schema["maxProperties"]
        yield f"object has too many properties (found {len(value)} but schema requires at most {most})"
    missing = [name for name in schema.get("required", []) if name not in value]
    if missing:
        yield f"object has missing required properties ({_json(sorted(missing))})"


def _errors_of_list(schema: Schema, value: list[Any]) -> Iterator[str]:
    count = len(value)
    if count > schema.get("maxItems", count):
        most = schema["maxItems"]
        yield f"array is too long: must have at most {most} elements but instance has {count} elements"
    if count < schema.get("minItems", 0):
        least = schema["minItems"]
        yield f"array is too short: must have at least {least} elements but instance has {count} elements"


def _errors_of_string(schema: Schema, value: str) -> Iterator[str]:
    length = len(value)
    if length > schema.get("maxLength", length):
        yield f'string "{value}" is too long (length: {length}, maximum allowed: {schema["maxLength"]})'
    if length < schema.get("minLength", 0):
        yield f'string "{value}" is too short (length: {length}, required minimum: {schema["minLength"]})'
    if "pattern" in schema and not re.search(ecma(schema["pattern"]), value):
        yield f'ECMA 262 regex "{schema["pattern"]}" does not match input string "{value}"'


def _errors_of_number(schema: Schema, value: float) -> Iterator[str]:
    most, least = schema.get("maximum", value), schema.get("minimum", value)
    if value > most:
        yield f"numeric instance is greater than the required maximum (maximum: {most}, found: {value})"
    if value < least:
        yield f"numeric instance is lower than the required minimum (minimum: {least}, found: {value})"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
