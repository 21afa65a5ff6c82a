"""How DuckDB reads validated objects: the input that `mapping.normalize_sql` describes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from atlas import envelope, mapping
from atlas.log_format import LogFormat

_HEADER = "event_time: 'TIMESTAMPTZ', line: 'BIGINT', record_id: 'VARCHAR', error: 'VARCHAR', raw: 'VARCHAR'"
_READING = "format = 'newline_delimited', compression = 'none', filename = true, maximum_object_size = 33554432"
"""An envelope is one line. The longest are those of refused records: 4 MiB, of which each byte may take six.

The files are inflated, whatever their names say."""

_MANY = 64


def select_fields(log_format: LogFormat, files: Iterable[Path], root: Path) -> str:
    """A SELECT of envelopes, with each top-level field of the records that the format reads as text.

    The files lie under `root` as their objects do in the bucket.
    """
    names = _names(log_format)
    texts = "".join(
        f", plain_text(CAST(record[{_quoted(name)}] AS VARCHAR)) AS t{number}" for name, number in names.items()
    )
    return (
        f"SELECT {_object_key(root)}, event_time, line, record_id, error, raw{texts} "
        f"FROM read_json({listed(files)}, {_READING}, columns = {{{_HEADER}, record: {_quoted(_type(names))}}})"
    )


def select_keys(log_format: LogFormat, files: Iterable[Path]) -> str:
    """A SELECT of the top-level keys that the format reads and that records have, each once."""
    wanted = ", ".join(map(_quoted, log_format.source_keys()))
    return (
        f"SELECT DISTINCT key FROM (SELECT unnest(json_keys(record)) AS key "
        f"FROM read_json({listed(files)}, {_READING}, columns = {{record: 'JSON'}})) WHERE key IN ({wanted})"
    )


def select_oddities(log_format: LogFormat, fields: str) -> str:
    """A SELECT of flags: `odd<n>`, whether `plain_text` left some to do, and `nested<n>`, whether it has objects.

    The latter of those fields only in which a path goes on.
    """
    names = _names(log_format)
    outer = dict.fromkeys(top for top, dot, _ in (path.partition(".") for path in names) if dot)
    odd = (f"{_any(f't{n}', chr(0))} AS odd{n}" for n in names.values())
    nested = (f"{_any(f'ltrim(t{names[top]}, chr(0))', '{')} AS nested{names[top]}" for top in outer)
    flags = ", ".join(["FALSE AS none", *odd, *nested])
    return f"SELECT {flags} FROM {fields}"


def select_input(log_format: LogFormat, fields: str, oddities: Mapping[str, bool]) -> str:
    """A SELECT of `mapping.normalize_sql`'s input from what `select_fields` gave and `select_oddities` told."""
    names = _names(log_format)

    def text(name: str) -> str:
        column = f"t{names[name]}"
        return f"settled_text({column})" if oddities[f"odd{names[name]}"] else column

    def picked(path: str) -> str:
        """The key of that very name, else the nested one."""
        top, dot, _ = path.partition(".")
        if not dot or not oddities[f"nested{names[top]}"]:
            return text(path)
        return f"coalesce({text(path)}, nested_text(t{names[top]}, {_quoted('$' + path.removeprefix(top))}))"

    columns = "".join(f", {picked(path)} AS {name}" for path, name in mapping.fields(log_format).items())
    return f"SELECT object_key, event_time, line, record_id, error, raw{columns} FROM {fields}"


def select_texts(files: Iterable[Path], root: Path) -> str:
    """A SELECT of `record_texts`: the producer's own text of the records in `refused` that came without one.

    An envelope is told by its second member, `"line":17`, which takes less than parsing each of them.
    """
    return (
        f"SELECT r.object_key, r.source_line, regexp_extract(e.json, {_quoted(envelope.RECORD_TEXT)}, 2) AS text "
        f"FROM (SELECT {_object_key(root)}, split_part(left(CAST(json AS VARCHAR), 80), ',', 2) AS line, json "
        f"FROM read_ndjson_objects({listed(files)}, {_READING})) AS e "
        "JOIN (SELECT object_key, source_line, '\"line\":' || source_line AS line FROM refused "
        "WHERE raw IS NULL) AS r ON r.line = e.line AND r.object_key = e.object_key"
    )


def _any(text: str, beginning: str) -> str:
    return f"coalesce(bool_or(starts_with({text}, chr({ord(beginning)}))), FALSE)"


def _object_key(root: Path) -> str:
    return f"substring(filename, {len(str(root)) + 2}) AS object_key"


def is_wide(log_format: LogFormat) -> bool:
    """Whether it takes longer to read all that the format's paths may mean than to look what of it is there."""
    return len(log_format.source_keys()) > _MANY


def _names(log_format: LogFormat) -> dict[str, int]:
    """The top-level keys that the format reads, numbered."""
    return {key: number for number, key in enumerate(log_format.source_keys())}


def _type(names: Collection[str]) -> str:
    """The record's type. Its members are JSON, which tells numbers from text.

    A struct is read fastest, but its names are alike to DuckDB if they differ in case only; a map's are not. Both
    refuse a key that a record has twice (repeated_keys.py).
    """
    if not names:
        return "JSON"
    if len({name.casefold() for name in names}) < len(names):
        return "MAP(VARCHAR, JSON)"
    return "STRUCT(" + ", ".join('"' + name.replace('"', '""') + '" JSON' for name in names) + ")"


def listed(files: Iterable[Path]) -> str:
    """Files as a list of DuckDB."""
    return "[" + ", ".join(_quoted(str(file)) for file in files) + "]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
