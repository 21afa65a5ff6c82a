"""The questions of queries/: their form, how they are given values, and what Athena and DuckDB read of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import duckdb
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from atlas import questions, schema
from atlas.questions import Question, QuestionError
from atlas_cli.local.athena_queries import bind
from atlas_cli.local.athena_tables import PRELUDE, duckdb_type

SUNDAY = date(2024, 12, 1)
QUESTIONS = questions.load()
VIEWS = questions.load(questions.VIEWS)
PARTITIONS = {table.name: {key.name for key in table.partition_keys} for table in schema.TABLES}
each_question = pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)

HEAD = "-- title: t\n-- description: d\n"
EVERY_TYPE = questions.parse(
    "q",
    f"{HEAD}-- param: day date yesterday\n-- param: at timestamp tomorrow\n-- param: n bigint 5\n"
    "-- param: text string any\n-- param: day date yesterday\nSELECT 1 WHERE ? = ? AND ? = ? AND ? = ''",
)


@pytest.fixture(scope="module")
def athena() -> Iterator[duckdb.DuckDBPyConnection]:
    """All tables and views of the catalog, empty, on DuckDB with the local cloud's names of Trino's functions."""
    connection = duckdb.connect()
    connection.execute(PRELUDE)
    for table in schema.TABLES:
        columns = (f'"{key.name}" {duckdb_type(key.type)}' for key in (*table.columns, *table.partition_keys))
        connection.execute(f"CREATE TABLE {table.name} ({', '.join(columns)})")
    for view in VIEWS.values():
        connection.execute(f"CREATE VIEW {view.name} AS {view.sql}")
    yield connection
    connection.close()


def tree(question: Question, dialect: str = "athena") -> exp.Query:
    [parsed] = sqlglot.parse(question.sql, dialect=dialect, error_level=sqlglot.ErrorLevel.RAISE)
    assert isinstance(parsed, exp.Query)
    return parsed


@pytest.mark.parametrize("dialect", ["athena", "duckdb"])
@pytest.mark.parametrize("question", [*QUESTIONS.values(), *VIEWS.values()], ids=lambda question: question.name)
def test_every_question_is_sql_that_athena_and_duckdb_read(question: Question, dialect: str) -> None:
    tree(question, dialect)


@each_question
def test_every_question_runs_by_its_defaults(question: Question, athena: duckdb.DuckDBPyConnection) -> None:
    athena.execute(bind(question.sql, question.literals({}, SUNDAY))).fetchall()


@each_question
def test_athena_takes_parameters_in_where_only_and_so_many_at_most(question: Question) -> None:
    marks = list(tree(question).find_all(exp.Placeholder))
    assert len(marks) == len(question.parameters) <= 25
    assert all(mark.find_ancestor(exp.Where) for mark in marks)


@each_question
def test_every_question_says_which_partitions_of_which_table_it_reads(question: Question) -> None:
    """Of each table the WHERE beside it compares every partition key of days, as it is, with what was asked for."""
    for table in tree(question).find_all(exp.Table):
        select = table.find_ancestor(exp.Select)
        assert select is not None
        keys = {"year", "month", "day"} if table.name in VIEWS else PARTITIONS.get(table.name, set())
        compared = _compared(select)
        if table.name == schema.REJECTED_RECORDS.name and "month" not in compared:
            keys = {"year"}  # of days in a row; the rest of the partitions is told from their names
        assert keys - {"hour", "log_type"} <= compared, table.name


def _compared(select: exp.Select) -> set[str]:
    """Columns that are compared with a parameter, in the select's own WHERE."""
    where = select.args.get("where")
    assert where is None or isinstance(where, exp.Where)
    kinds = (exp.EQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.In)
    found = where.find_all(*kinds) if where else ()
    return {node.this.name for node in found if isinstance(node.this, exp.Column) and node.find(exp.Placeholder)}


@pytest.mark.parametrize("view", schema.VIEWS, ids=lambda view: view.name)
def test_a_view_gives_the_columns_that_its_catalog_entry_declares(
    view: schema.View, athena: duckdb.DuckDBPyConnection
) -> None:
    found = athena.execute(f"SELECT * FROM {view.name}").description
    assert [(name, str(kind)) for name, kind, *_ in found or ()] == [
        (column.name, duckdb_type(column.type)) for column in view.columns
    ]
    assert set(VIEWS) == {view.name for view in schema.VIEWS}


def test_a_value_is_a_literal_wherever_its_name_is_asked_for_and_defaults_go_by_the_day_of_who_asks() -> None:
    assert EVERY_TYPE.literals({}, SUNDAY) == [
        "'2024-11-30'", "'2024-12-02 00:00:00'", "'5'", "'any'", "'2024-11-30'",
    ]  # fmt: skip
    given = {"day": "2024-02-29", "at": "2024-11-29T10:15:00.5Z", "n": "-7", "text": "it's ?"}
    assert EVERY_TYPE.literals(given, SUNDAY) == [
        "'2024-02-29'", "'2024-11-29 10:15:00.5'", "'-7'", "'it''s ?'", "'2024-02-29'",
    ]  # fmt: skip
    assert [parameter.name for parameter in EVERY_TYPE.asks_for] == ["day", "at", "n", "text"]


@given(st.text(max_size=500))
def test_whatever_a_text_holds_the_sql_around_it_stays_as_it_is(text: str) -> None:
    literals = EVERY_TYPE.literals({"text": text}, SUNDAY)
    parsed = sqlglot.parse_one(f"SELECT {literals[3]} AS a", dialect="athena")
    assert isinstance(parsed, exp.Select)
    [column] = parsed.expressions
    assert isinstance(column.this, exp.Literal)
    assert column.this.is_string


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"what": "1", "day": "2024-11-29"}, "q has no parameter what; it has: day, at, n, text"),
        ({"day": "2024-11-31"}, "q, parameter day: "),
        ({"day": "20241129"}, "q, parameter day: .*expected YYYY-MM-DD"),
        ({"day": "yesterday"}, "q, parameter day: .*expected YYYY-MM-DD"),
        ({"at": "2024-11-29"}, "q, parameter at: .*expected YYYY-MM-DDTHH:MM:SSZ"),
        ({"at": "2024-11-29T10:00:00+01:00"}, "q, parameter at: .*expected YYYY-MM-DDTHH:MM:SSZ"),
        ({"at": "2024-11-29T25:00:00Z"}, "q, parameter at: "),
        ({"n": "1.5"}, "q, parameter n: .*whole number"),
        ({"n": "9223372036854775808"}, "q, parameter n: .*64 bits"),
        ({"n": "1; DROP TABLE logs"}, "q, parameter n: .*whole number"),
        ({"text": "x" * 1_023}, "q, parameter text: 1,025 characters with its quotes: Athena takes 1,024"),
    ],
)
def test_a_value_that_cannot_be_is_an_error_that_names_its_parameter(given: Any, message: str) -> None:
    with pytest.raises(QuestionError, match=message):
        EVERY_TYPE.literals(given, SUNDAY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1", "expected `-- title:`"),
        (f"{HEAD}SELECT ?", "1 `\\?`, but 0 `-- param:`"),
        (f"{HEAD}-- param: a date 2024-01-01\nSELECT 1", "0 `\\?`, but 1 `-- param:`"),
        (f"{HEAD}-- param: a date\nSELECT ?", "expected NAME TYPE DEFAULT"),
        (f"{HEAD}-- param: a day today\nSELECT ?", "the type is one of date, timestamp, bigint, string"),
        (f"{HEAD}-- param: a date tomorrow\nSELECT ?", "'tomorrow' is not a day"),
        (f"{HEAD}-- param: a date today\n-- param: a date yesterday\nSELECT ?, ?", "same name are not equal"),
    ],
)
def test_a_question_whose_header_is_wrong_is_an_error_that_names_its_file(text: str, message: str) -> None:
    with pytest.raises(QuestionError, match=rf"queries/q\.sql: .*{message}"):
        questions.parse("q", text)
