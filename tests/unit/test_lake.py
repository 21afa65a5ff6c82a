from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas import lake

days = st.dates(min_value=date(1, 1, 1), max_value=date(9999, 12, 31))
# What S3 takes as a key: any Unicode text of up to 1,024 bytes of UTF-8.
raw_keys = (
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400)
    .map(lambda text: lake.RAW + text)
    .filter(lambda key: len(key.encode()) <= lake.MAX_KEY_BYTES)
)
names = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)


@given(raw_keys, st.text(min_size=1), names, days, st.integers(0, 10**6))
def test_a_validated_key_parses_back_to_what_it_was_built_from(
    raw_key: str, version: str, format_name: str, day: date, part: int
) -> None:
    built = lake.ValidatedKey.of(raw_key, version, format_name, day, part)
    assert lake.ValidatedKey.parse(str(built)) == built
    assert len(str(built).encode()) <= lake.MAX_KEY_BYTES
    assert all(character.isascii() and character not in " %+#?\\" for character in str(built))


@given(names, days)
def test_a_gold_key_parses_back(table: str, day: date) -> None:
    assert lake.parse_gold_key(lake.gold_key(table, day)) == (table, day)


long_keys = st.builds(
    lambda size, tail: lake.RAW + "x" * size + tail, st.integers(900, 1000), st.text("abü", max_size=9)
)


@given(raw_keys | long_keys)
def test_every_copy_of_a_file_fits_s3_and_no_two_files_share_one(raw_key: str) -> None:
    landed = datetime(2024, 11, 29, tzinfo=UTC)
    for other in (raw_key + "x", raw_key[:-1] + "y", raw_key.upper(), raw_key + ".reason.json"):
        pairs = [
            (lake.rejected_file_key(raw_key), lake.rejected_file_key(other)),
            (lake.reason_key(raw_key), lake.reason_key(other)),
            (lake.archive_key("ndjson", raw_key, landed, "i"), lake.archive_key("ndjson", other, landed, "i")),
        ]
        for mine, theirs in pairs:
            assert len(mine.encode()) <= lake.MAX_KEY_BYTES
            assert (mine == theirs) == (raw_key == other)
        files = {lake.rejected_file_key(key) for key in (raw_key, other)}
        assert not files & {lake.reason_key(key) for key in (raw_key, other)}


@pytest.mark.parametrize(
    "key",
    ["", "validated/ndjson/x", "validated/ndjson/year=2024/month=11/day=29/a.b.c.00000.ndjson.gz", "raw/a.ndjson"],
)
def test_a_foreign_key_is_refused_by_name(key: str) -> None:
    with pytest.raises(lake.KeyMismatchError, match="is not a validated key"):
        lake.ValidatedKey.parse(key)


@pytest.mark.parametrize("text", ["2024-11-31", "20241129", "2024-W48-5", " 2024-11-29", "2024-1-9", ""])
def test_only_a_whole_date_is_a_day(text: str) -> None:
    with pytest.raises(ValueError, match=r"day|month|is not a day"):
        lake.parse_day(text)


def test_the_folder_under_raw_names_a_format() -> None:
    assert lake.folder_format("raw/app_log/2024/x.log") == "app_log"
    assert lake.folder_format("raw/x.log") is None
