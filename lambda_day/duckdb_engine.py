"""The day's engine on DuckDB: works on a scratch disk, for days that fit one machine."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb

from atlas import mapping, sql
from atlas.day_events import DayEvents
from atlas.formats import LogFormat
from atlas.manifest import Manifest, records_in
from atlas.objects import delete_keys, list_keys, put_files
from atlas.schema import LOGS, REJECTED_RECORDS, Table
from lambda_day import envelopes, repeated_keys
from lambda_day.limits import Limits
from lambda_day.objects import Scratch

_TYPES = {
    "string": "VARCHAR",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "timestamp": "TIMESTAMPTZ",
    "map<string,string>": "MAP(VARCHAR, VARCHAR)",
    "map<string,bigint>": "MAP(VARCHAR, BIGINT)",
}
_KEY_REPEATED = ("has duplicate key", "Map keys must be unique")
_PARQUET = "FORMAT parquet, COMPRESSION zstd"


class DuckdbEngine:
    """`atlas.day.Engine`. `folder` is an empty scratch folder; `check_time` raises when the time is over."""

    def __init__(self, s3: Any, bucket: str, folder: Path, limits: Limits, check_time: Callable[[], None]) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._silver = folder / "silver"
        self._gold = folder / "gold"
        self._gold.mkdir(parents=True)
        self.objects = folder / "objects"
        self._scratch = Scratch(s3, bucket, self.objects)
        self._chunk = limits.chunk
        self._check_time = check_time
        self.connection = connect(limits, folder / "spilled")

    def open(self, manifest: Manifest) -> None:
        """From the manifest itself."""
        self._table(
            "manifest",
            {"source_file": "VARCHAR", "raw_format": "VARCHAR", "records": "BIGINT"},
            [(file.raw_key, file.format, records_in(file)) for file in manifest.files],
        )
        self._table(
            "manifest_objects",
            {"object_key": "VARCHAR", "source_file": "VARCHAR", "ingested_at": "TIMESTAMPTZ"},
            [(key, file.raw_key, file.landed_at) for file in manifest.files for key in file.objects()],
        )
        lost_before = manifest.receipts.lost_before if manifest.receipts else None
        self._table(
            "run",
            {"run_id": "VARCHAR", "day_of_week": "VARCHAR", "lost_before": "TIMESTAMPTZ"},
            [(manifest.run_id, f"{manifest.process_date:%A}", lost_before)],
        )

    def open_events(self, events: DayEvents) -> None:
        """Brings them to scratch, where they stay; what is there already is not brought again."""
        receipts = [events.receipts] if events.receipts else []
        texts = {"event_receipts": receipts, "event_refusals": events.refusals}
        for name, ddl in sql.EVENT_INPUTS.items():
            columns, keys = _of_ddl(ddl), texts.get(name, events.objects)
            files = envelopes.listed(self._scratch.keep(keys))
            read = (
                f"read_json({files}, format = 'newline_delimited', columns = {columns})"
                if name in texts
                else f"read_parquet({files}, union_by_name = true, hive_partitioning = false)"
            )
            cast = ", ".join(f"CAST({column} AS {kind}) AS {column}" for column, kind in columns.items())
            nulls = ", ".join(f"CAST(NULL AS {kind}) AS {column}" for column, kind in columns.items())
            self._view(name, f"SELECT {cast} FROM {read}" if keys else f"SELECT {nulls} WHERE 1 = 0")

    def check(self, manifest: Manifest, formats: Mapping[str, LogFormat]) -> None:
        """Chunk by chunk, so that neither memory nor scratch grows with the day's text."""
        self._run(f"CREATE TEMP TABLE {REJECTED_RECORDS.name} ({_columns(REJECTED_RECORDS)})")
        chunks = list(_chunks(manifest, self._chunk))
        batches = self._scratch.batches(keys for _, keys in chunks)
        for number, ((name, _), files) in enumerate(zip(chunks, batches, strict=True)):
            self._check_chunk(formats[name], files, manifest, number)
        self._run(f"INSERT INTO {REJECTED_RECORDS.name} BY NAME {sql.statement('refused_event_records')}")
        self._view("logs", self._silver_rows())
        self._view(
            "checked",
            "SELECT source_file, raw_format, CAST(NULL AS VARCHAR) AS reason FROM logs UNION ALL "
            f"SELECT source_file, raw_format, reason FROM {REJECTED_RECORDS.name}",
        )

    def replace_silver(self, log_type: str, prefix: str) -> None:
        """The files are there already."""
        self._replace(self._parts(log_type), prefix)

    def replace_refused(self, prefix: str) -> None:
        """All in one object."""
        file = self._gold / f"{REJECTED_RECORDS.name}.parquet"
        self._write(f"SELECT * FROM {REJECTED_RECORDS.name}", REJECTED_RECORDS, file)
        self._replace([file], prefix)

    def read_day(self) -> None:
        """`check` has left both views: nothing is read again."""

    def view(self, name: str, statement: str, *, keep: bool) -> None:
        """Kept rows are a table."""
        if keep:
            self._run(f"CREATE OR REPLACE TEMP TABLE {name} AS {statement}")
        else:
            self._view(name, statement)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """From DuckDB's answer."""
        answer = self._run(statement)
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def stage(self, table: Table, statement: str, prefix: str) -> None:
        """Written to scratch, then to the lake."""
        file = self._gold / f"{table.name}.parquet"
        self._write(statement, table, file)
        put_files(self._s3, self._bucket, {f"{prefix}part-00000.parquet": file})

    def staged_rows(self, table: Table, prefix: str) -> list[dict[str, Any]]:  # noqa: ARG002 - Spark wants it
        """From scratch."""
        return self.rows(f"SELECT * FROM read_parquet('{self._gold / table.name}.parquet')")

    def close(self) -> None:
        """Ends the database. Its scratch folder is the caller's."""
        self.connection.close()

    def read(self, log_format: LogFormat, files: Sequence[Path]) -> None:
        """Registers `input`, as mapping.py wants it, from files that lie under `objects` as they do in the bucket.

        In tables: DuckDB would else find each text anew wherever the mapping mentions it.
        """
        try:
            self._read_fields(log_format, files, self.objects)
        except duckdb.InvalidInputException as fault:
            if not any(told in str(fault) for told in _KEY_REPEATED):
                raise
            with tempfile.TemporaryDirectory(dir=self._gold) as folder:
                copies = repeated_keys.resolve(files, self.objects, Path(folder))
                self._read_fields(log_format, copies, Path(folder))
        [oddities] = self.rows(envelopes.select_oddities(log_format, "fields"))
        given = envelopes.select_input(log_format, "fields", oddities)
        if any(oddities.values()):
            self._run(f"CREATE OR REPLACE TEMP TABLE settled AS {given}")
            self._run("DROP TABLE fields")
            given = "SELECT * FROM settled"
        self._view("input", given)

    def _read_fields(self, log_format: LogFormat, files: Sequence[Path], root: Path) -> None:
        self._run(f"CREATE OR REPLACE TEMP TABLE fields AS {envelopes.select_fields(log_format, files, root)}")

    def _check_chunk(self, log_format: LogFormat, files: Sequence[Path], manifest: Manifest, number: int) -> None:
        if envelopes.is_wide(log_format):  # the ledger does not know the records' fields: they are too many
            log_format = log_format.only(
                {row["key"] for row in self.rows(envelopes.select_keys(log_format, files))}
            )
        self.read(log_format, files)
        mapped = mapping.normalize_sql(log_format, "input", manifest.process_date)
        self._run(f"CREATE OR REPLACE TEMP TABLE chunk AS {mapped}")
        part = self._silver / f"log_type={log_format.log_type}" / f"part-{number:05d}.parquet"
        part.parent.mkdir(parents=True, exist_ok=True)
        if not self._write("SELECT * FROM chunk WHERE reason IS NULL", LOGS, part):
            part.unlink()
        self._view("refused", "SELECT * FROM chunk WHERE reason IS NOT NULL")
        without_text = self.rows("SELECT DISTINCT object_key FROM refused WHERE raw IS NULL")
        self._record_texts([self.objects / row["object_key"] for row in without_text])
        self._run(f"INSERT INTO {REJECTED_RECORDS.name} BY NAME {sql.statement('refused_records')}")

    def _record_texts(self, files: Sequence[Path]) -> None:
        nothing = "SELECT NULL AS object_key, NULL AS source_line, NULL AS text WHERE FALSE"
        self._view("record_texts", envelopes.select_texts(files, self.objects) if files else nothing)

    def _silver_rows(self) -> str:
        if not self._parts("*"):
            nothing = ", ".join(f"CAST(NULL AS {_TYPES[column.type]}) AS {column.name}" for column in LOGS.columns)
            return f"SELECT {nothing}, CAST(NULL AS VARCHAR) AS log_type WHERE 1 = 0"
        files = f"{self._silver}/*/*.parquet"
        return (
            f"SELECT * FROM read_parquet('{files}', hive_partitioning = true, hive_types = {{log_type: VARCHAR}})"
        )

    def _parts(self, log_type: str) -> list[Path]:
        return sorted(self._silver.glob(f"log_type={log_type}/*.parquet"))

    def _replace(self, files: list[Path], prefix: str) -> None:
        """New objects first: a reader of silver meanwhile sees too much rather than nothing."""
        parts = {f"{prefix}part-{number:05d}.parquet": file for number, file in enumerate(files)}
        put_files(self._s3, self._bucket, parts)
        there = list_keys(self._s3, self._bucket, prefix)
        delete_keys(self._s3, self._bucket, [key for key in there if key not in parts])

    def _write(self, statement: str, table: Table, file: Path) -> int:
        """Writes exactly the table's columns, in its order and of its types; how many rows.

        All of them may be null, as in Spark's files, also where DuckDB knows that they are not: hence the union.
        """
        columns = ", ".join(f"CAST({c.name} AS {_TYPES[c.type]}) AS {c.name}" for c in table.columns)
        nulls = ", ".join("NULL" for _ in table.columns)
        rows = f"SELECT {columns} FROM ({statement}) UNION ALL SELECT {nulls} FROM range(0)"
        written = self._run(f"COPY ({rows}) TO '{file}' ({_PARQUET})").fetchall()
        return int(written[0][0])

    def _table(self, name: str, columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]]) -> None:
        """As one JSON text: inserting row by row takes a second for three thousand."""
        given = json.dumps([dict(zip(columns, row, strict=True)) for row in rows])
        unpacked = f"SELECT unnest(from_json(?, '{json.dumps([columns])}'), recursive := TRUE)"
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {unpacked}", [given])

    def _view(self, name: str, statement: str) -> None:
        self._run(f"CREATE OR REPLACE TEMP VIEW {name} AS {statement}")

    def _run(self, statement: str) -> duckdb.DuckDBPyConnection:
        self._check_time()
        return self.connection.execute(statement)


def connect(limits: Limits, spilled: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that speaks Atlas's SQL, spills to a folder, and loads nothing at run time."""
    connection = duckdb.connect(
        config={
            "memory_limit": f"{limits.memory >> 20}MiB",
            "threads": limits.threads,
            "temp_directory": str(spilled),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(sql.statement("duckdb_macros"))
    connection.execute((resources.files("lambda_day") / "json_text.sql").read_text(encoding="utf-8"))
    return connection


def _of_ddl(ddl: str) -> dict[str, str]:
    """Column -> DuckDB's type, from Spark DDL of plain types."""
    return {name: _TYPES[kind.lower()] for name, kind in (column.split(" ") for column in ddl.split(", "))}


def _columns(table: Table) -> str:
    return ", ".join(f"{column.name} {_TYPES[column.type]}" for column in table.columns)


def _chunks(manifest: Manifest, size: int) -> Iterator[tuple[str, list[str]]]:
    """The manifest's objects by format, in lists of about `size` bytes of text; at least one object each."""
    files = sorted(manifest.files, key=lambda file: (file.format, file.raw_key))
    chunk: list[str] = []
    name, filled = "", 0.0
    for file in files:
        for key in file.objects():
            text = file.share.bytes / file.share.parts
            if chunk and (file.format != name or filled + text > size):
                yield name, chunk
                chunk, filled = [], 0.0
            name, filled = file.format, filled + text
            chunk.append(key)
    if chunk:
        yield name, chunk
