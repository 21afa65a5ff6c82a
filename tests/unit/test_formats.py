from __future__ import annotations

import pytest

from atlas.formats import FormatError, load_formats, parse_format
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

BAD = {
    "no TOML": ("title = = 1", r"door\.toml: .*line 1"),
    "a missing key": (
        GOOD.replace('log_type = "door"', ""),
        r"door\.toml: log_type: expected a text, but it is missing",
    ),
    "a wrong type": (GOOD.replace('"Door log"', "7"), r"door\.toml: title: expected a text, found 7"),
    "an unknown syntax": (GOOD.replace('"json"', '"csv"'), r"syntax: expected one of json, xml, found 'csv'"),
    "an unknown key": (GOOD.replace("[time]", "[time]\nzone = 'UTC'"), r"time\.zone: expected no such key"),
    "an unknown column": (GOOD.replace("user_id = [", "user = ["), r"recognise\.has: expected .*found 'user_id'"),
    "a column that logs lacks": (
        GOOD.replace("[defaults]", 'colour = ["c"]\n[defaults]'),
        r"columns\.colour: expected no such",
    ),
    "a required column that nothing feeds": (
        GOOD.replace('[["user_id"]]', '[["level"]]'),
        r"required: .*found 'level'",
    ),
    "a source that is no field": (
        GOOD.replace('["badge"]', "[7]"),
        r"columns\.user_id: expected a list of fields, .*found 7",
    ),
    "a quote that would end an SQL text": (
        GOOD.replace('"doors"', '"o\'doors"'),
        r"defaults\.app_name: expected .*quote",
    ),
    "an attribute that is no name": (GOOD.replace("door =", '"a\'b" ='), r"attributes\.a'b: expected .*letters"),
    "a log type that is no path": (GOOD.replace('"door"', '"a/b"', 1), r"log_type: expected lower-case"),
}


def test_a_good_format_says_what_its_file_says() -> None:
    door = parse_format("door", GOOD)
    assert (door.name, door.log_type, door.element, door.container) == ("door", "door", None, "any")
    assert door.recognise == (("at",), ("badge",))
    assert door.source_paths() == ("badge", "open.seconds", "door.name")


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_format_is_an_error_that_names_file_key_and_what_was_expected(fault: str) -> None:
    text, message = BAD[fault]
    with pytest.raises(FormatError, match=message):
        parse_format("door", text)


def test_every_shipped_format_loads_and_feeds_columns_of_logs() -> None:
    shipped = load_formats()
    assert {"ndjson", "json_gzip", "xml_errors", "app_log"} <= set(shipped)
    for log_format in shipped.values():
        assert set(log_format.columns) <= set(LOGS.column_names)
