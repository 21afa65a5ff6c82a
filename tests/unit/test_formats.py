from __future__ import annotations

from typing import Any

import pytest

from atlas.formats import Delimited, FormatError, Source, load_formats, parse_format, value_at
from atlas.schema import LOGS

GOOD = """
title = "Door log"
log_type = "door"
syntax = "json"
required = [["user_id"]]
[recognise]
has = [["time"], ["user_id"]]
suffixes = [".door"]
[time]
fields = ["at"]
[columns]
user_id = ["badge"]
duration_ms = [{ path = "open.seconds", scale = 1000 }]
[defaults]
app_name = "doors"
[attributes]
door = ["door.name"]
"""

TEXT = r"""
title = "Gate log"
log_type = "door"
syntax = "text"
required = [["endpoint"]]
user_agent = ["agent"]
[time]
fields = ["at", ["date", "clock"]]
zone = "Europe/Berlin"
[text]
pattern = '''(?x) (?P<at>[0-9]+)? (?P<date>\S+)\ (?P<clock>\S+)\ "(?P<request>[^"]*)"(?:\ (?P<agent>.*))?'''
comment = "#"
[columns]
request_type = [{ path = "request", take = "method" }]
endpoint = [{ path = "request", take = "path" }]
"""

DELIMITED = r"""
title = "Meter"
log_type = "meter"
syntax = "delimited"
required = [["user_id"]]
[recognise]
has = [["time"], ["user_id", "bytes_sent"]]
[time]
fields = [["date", "time"], "epoch"]
[delimited]
separator = "\t"
quote = '"'
header_prefix = "#Fields:"
fields = ["date", "time", "cs(User)"]
comment = "#"
[columns]
user_id = ["cs(User)"]
bytes_sent = [{ path = "kB", scale = 1024 }]
"""

BAD = {
    "no TOML": ("title = = 1", r"door\.toml: .*line 1"),
    "a missing key": (
        GOOD.replace('log_type = "door"', ""),
        r"door\.toml: log_type: expected a text, but it is missing",
    ),
    "a wrong type": (GOOD.replace('"Door log"', "7"), r"door\.toml: title: expected a text, found 7"),
    "an unknown syntax": (
        GOOD.replace('"json"', '"csv"'),
        r"syntax: expected one of json, xml, text, delimited, found 'csv'",
    ),
    "an unknown key": (GOOD.replace("[time]", "[time]\nplace = 'UTC'"), r"time\.place: expected no such key"),
    "an unknown column": (GOOD.replace("user_id = [", "user = ["), r"columns\.user: expected no such key"),
    "a group of what is no column": (
        GOOD.replace('["user_id"]]\nsuff', '["badge"]]\nsuff'),
        r"recognise\.has: expected a list of lists of: time, user_id, duration_ms, found 'badge'",
    ),
    "nothing to recognise": (
        GOOD.replace('has = [["time"], ["user_id"]]', "has = []"),
        r"recognise\.has: expected a list of lists of texts, found \[\]",
    ),
    "a required column that nothing feeds": (
        GOOD.replace('[["user_id"]]', '[["level"]]'),
        r"required: .*found 'level'",
    ),
    "a source that is no field": (
        GOOD.replace('["badge"]', "[7]"),
        r"columns\.user_id: expected a list of fields, .*found 7",
    ),
    "a source with an unknown key": (
        GOOD.replace('["badge"]', '[{ path = "badge", tke = "path" }]'),
        r"columns\.user_id: expected a list of fields, each a text or \{path = TEXT, scale = NUMBER, take = PART\}",
    ),
    "a source without a path": (
        GOOD.replace('["badge"]', '[{ take = "path" }]'),
        r"user_id: expected a list of fi",
    ),
    "a path that SQL would not understand": (
        GOOD.replace("door.name", "door['name']"),
        r"attributes\.door: expected a dotted path without quotes, .*found",
    ),
    "a path with an empty part": (
        GOOD.replace("door.name", "door..name"),
        r"door: expected a dotted .*empty parts",
    ),
    "a part that there is not": (
        GOOD.replace('["badge"]', '[{ path = "badge", take = "host" }]'),
        r"columns\.user_id: expected take to be one of method, path, query, found 'host'",
    ),
    "a part of a number": (
        GOOD.replace("scale = 1000", 'take = "path"'),
        r"columns\.duration_ms: expected a number, of which nothing can be taken, found 'path'",
    ),
    "a scale that is no number": (GOOD.replace("1000", "true"), r"columns\.duration_ms: expected a list of fields"),
    "a scale of nothing": (GOOD.replace("1000", "0"), r"columns\.duration_ms: expected a scale above 0, .*found 0"),
    "a scale beyond numbers": (GOOD.replace("1000", "inf"), r"duration_ms: expected a scale above 0, .*found inf"),
    "a scaled text": (
        GOOD.replace('["door.name"]', '[{ path = "door.name", scale = 2 }]'),
        r"attributes\.door: expected scale only in columns\.bytes_sent and columns\.duration_ms, found 2\.0",
    ),
    "a quote that would end an SQL text": (
        GOOD.replace('"doors"', '"o\'doors"'),
        r"defaults\.app_name: expected .*quote",
    ),
    "a constant number": (
        GOOD.replace("app_name =", "status_code ="),
        r"defaults\.status_code: expected a column of text \(ip_address, .*\), not one of numbers",
    ),
    "an attribute that is no name": (GOOD.replace("door =", '"a\'b" ='), r"attributes\.a'b: expected .*letters"),
    "a log type that is no path": (GOOD.replace('"door"', '"a/b"', 1), r"log_type: expected lower-case"),
    "time fields that are none": (
        GOOD.replace('["at"]', '["at", []]'),
        r"time\.fields: expected a list of fields, each a text or, for a time in several .*found \[\]",
    ),
    "an unknown zone": (
        GOOD.replace("[time]", '[time]\nzone = "Mars/Base"'),
        r"time\.zone: expected the IANA name of a time zone, such as Europe/Berlin, found 'Mars/Base'",
    ),
    "the folder of zones": (GOOD.replace("[time]", '[time]\nzone = "Europe"'), r"time\.zone: .*found 'Europe'"),
    "a zone outside": (GOOD.replace("[time]", '[time]\nzone = "../UTC"'), r"time\.zone: .*found '\.\./UTC'"),
    "text of another syntax": (
        GOOD + "[text]\npattern = '(?P<at>.)'",
        r"door\.toml: text: expected this table only with syntax = \"text\", found 'json'",
    ),
    "fields of another syntax": (
        TEXT + "[delimited]\nseparator = ','",
        r"delimited: expected this table only with",
    ),
    "text without its pattern's table": (
        TEXT.replace("[text]", "[txt]"),
        r"door\.toml: text: expected a table, but it is missing",
    ),
    "no pattern": (TEXT.replace("pattern =", "patern ="), r"text\.pattern: .*but it is missing"),
    "a pattern that is none": (
        TEXT.replace("(?P<agent>", "(?P<agent"),
        r"text\.pattern: expected a regular expression with named groups .*, but .* at position [0-9]+",
    ),
    "a group of the pattern named twice": (
        TEXT.replace("P<clock>", "P<date>"),
        r"text\.pattern: .*but redefinition of group name 'date'",
    ),
    "a pattern without named groups": (
        TEXT[: TEXT.index("pattern =")] + "pattern = '.*'\n" + TEXT[TEXT.index("comment =") :],
        r"text\.pattern: expected a regular expression with named groups .*found '\.\*'",
    ),
    "a column of a group that the pattern lacks": (
        TEXT.replace('endpoint = [{ path = "request"', 'endpoint = [{ path = "line"'),
        r"columns\.endpoint: expected a named group of text\.pattern \(at, date, .*\), found 'line'",
    ),
    "a time of a group that the pattern lacks": (
        TEXT.replace('"clock"]', '"watch"]'),
        r"time\.fields: expected a named group .*found 'watch'",
    ),
    "an agent of a group that the pattern lacks": (
        TEXT.replace('["agent"]', '["ua"]'),
        r"door\.toml: user_agent: expected a named group .*found 'ua'",
    ),
    "an empty comment": (TEXT.replace('"#"', '""'), r"text\.comment: expected a text, found ''"),
    "no fields' table": (
        DELIMITED.replace("[delimited]", "[x]"),
        r"delimited: expected a table, but it is missing",
    ),
    "a separator of two": (
        DELIMITED.replace(r'"\t"', '", "'),
        r"delimited\.separator: expected one character, no line break, found ', '",
    ),
    "a separator that ends lines": (DELIMITED.replace(r'"\t"', r'"\n"'), r"delimited\.separator: .*found '\\n'"),
    "no separator": (DELIMITED.replace("separator", "#"), r"delimited\.separator: .*but it is missing"),
    "a quote that separates": (
        DELIMITED.replace("'\"'", r'"\t"'),
        r"delimited\.quote: expected another character than the separator",
    ),
    "a field twice": (
        DELIMITED.replace('"cs(User)"]\ncomment', '"date"]\ncomment'),
        r"delimited\.fields: expected each name once, found 'date'",
    ),
    "an unknown key of fields": (DELIMITED.replace("quote", "quot"), r"delimited\.quot: expected no such key here"),
    "delimited text that nothing tells": (
        DELIMITED.replace('has = [["time"], ["user_id", "bytes_sent"]]', ""),
        r"recognise\.has: expected a list of lists of texts, but it is missing",
    ),
}


def test_a_good_format_says_what_its_file_says() -> None:
    door = parse_format("door", GOOD)
    assert (door.name, door.log_type, door.element, door.container) == ("door", "door", None, "any")
    assert (door.syntax, door.pattern, door.delimited, door.comment, door.time_zone) == ("json", *[None] * 4)
    assert (door.recognise, door.time_fields) == (((("at",),), (("badge",),)), (("at",),))
    assert door.columns["duration_ms"] == (Source("open.seconds", 1000.0),)
    assert door.source_paths() == ("badge", "open.seconds", "door.name")


def test_a_text_format_has_a_pattern_that_recognises_it() -> None:
    gate = parse_format("gate", TEXT)
    assert gate.pattern is not None
    assert gate.pattern.fullmatch('2024-11-29 10:00 "GET / HTTP/1.1" curl')
    assert (gate.time_fields, gate.time_zone, gate.comment) == ((("at",), ("date", "clock")), "Europe/Berlin", "#")
    assert gate.columns["endpoint"] == (Source("request", take="path"),)
    assert (gate.recognise, gate.suffixes) == ((), ())
    assert gate.recognises(lambda _: False)
    assert parse_format("gate", TEXT + "[recognise]\nhas = []").recognise == ()
    assert parse_format("gate", TEXT + '[recognise]\nhas = [["time"]]').recognise == ((("at",), ("date", "clock")),)


def test_a_delimited_format_says_how_its_lines_are_written() -> None:
    meter = parse_format("meter", DELIMITED)
    assert meter.delimited == Delimited("\t", '"', "#Fields:", ("date", "time", "cs(User)"))
    assert meter.comment == "#"
    bare = parse_format("meter", DELIMITED.replace("quote = '\"'", "").replace('header_prefix = "#Fields:"', ""))
    assert bare.delimited == Delimited("\t", None, None, ("date", "time", "cs(User)"))


@pytest.mark.parametrize(
    ("there", "recognised"),
    [
        ({"date", "time", "kB"}, True),
        ({"epoch", "cs(User)"}, True),
        ({"date", "kB"}, False),
        ({"date", "time"}, False),
        (set(), False),
    ],
)
def test_a_format_is_recognised_by_an_alternative_of_each_group(there: set[str], recognised: bool) -> None:
    assert parse_format("meter", DELIMITED).recognises(there.__contains__) is recognised


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"a.b": 1, "a": {"b": 2}}, 1),
        ({"a.b": None, "a": {"b": 2}}, 2),
        ({"a": {"b": {"c": 3}}}, {"c": 3}),
        ({"a": {"B": 2}}, None),
        ({"a": [{"b": 2}]}, None),
        ({"a": "text"}, None),
        ({"a": None}, None),
        ({}, None),
        ({"a.b": 0}, 0),
        ({"a.b": ""}, ""),
    ],
)
def test_a_dotted_path_is_the_key_of_that_name_else_the_nested_one(fields: dict[str, Any], value: object) -> None:
    assert value_at(fields, "a.b") == value


def test_a_path_may_be_deeper_and_have_odd_names() -> None:
    assert value_at({"a": {"b": {"c": 3}}}, "a.b.c") == 3
    assert value_at({"cs(User-Agent)": "x"}, "cs(User-Agent)") == "x"


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_format_is_an_error_that_names_file_key_and_what_was_expected(fault: str) -> None:
    text, message = BAD[fault]
    with pytest.raises(FormatError, match=message):
        parse_format("door", text)


def test_no_format_is_called_as_the_books_call_events() -> None:
    with pytest.raises(FormatError, match=r"events\.toml: .*the events API"):
        parse_format("events", GOOD)


def test_every_shipped_format_loads_and_feeds_columns_of_logs() -> None:
    shipped = load_formats()
    assert {"ndjson", "json_gzip", "xml_errors", "app_log"} <= set(shipped)
    for log_format in shipped.values():
        assert set(log_format.columns) <= set(LOGS.column_names)
