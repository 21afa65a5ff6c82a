from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path

import pytest

from atlas_cli.books import in_words
from atlas_cli.docs import DOCS, PAGES
from atlas_cli.project import ROOT, SAMPLE


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_the_contract_imports_nothing_but_the_standard_library() -> None:
    foreign = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "atlas").rglob("*.py")
        for name in _imports(path) - set(sys.stdlib_module_names) - {"atlas"}
    }
    assert foreign == set()


@pytest.mark.parametrize(
    ("package", "may_use"),
    [
        (
            "lambda_ingest",
            {
                "atlas",
                "lambda_ingest",
                "boto3",
                "botocore",
                "orjson",
                "isal",
                "aws_lambda_powertools",
                "xxhash",
                "backports",
                "compression",
            },
        ),
        ("glue_jobs", {"atlas", "glue_jobs", "boto3", "pyspark"}),
        (
            "lambda_events",
            {
                "atlas",
                "lambda_events",
                "boto3",
                "botocore",
                "aws_lambda_powertools",
                "fastjsonschema",
                "orjson",
                "jwt",
            },
        ),
        ("lambda_day", {"atlas", "lambda_day", "boto3", "botocore", "duckdb", "isal", "aws_lambda_powertools"}),
        (
            "lambda_query",
            {
                "atlas",
                "atlas_page",  # the layer of stacks/page
                "lambda_query",
                "boto3",
                "botocore",
                "aws_lambda_powertools",
                "fastapi",
                "mangum",
                "pydantic",
                "starlette",
            },
        ),
    ],
)
def test_deployed_code_uses_only_what_is_deployed_with_it(package: str, may_use: set[str]) -> None:
    used = {name for path in (ROOT / package).rglob("*.py") for name in _imports(path)}
    for_type_checkers = {name for name in used if name.startswith("mypy_boto3")}
    assert used - set(sys.stdlib_module_names) - for_type_checkers <= may_use


PACKAGES = (
    *("atlas", "lambda_ingest", "lambda_day", "lambda_events", "lambda_query"),
    *("glue_jobs", "stacks", "atlas_cli"),
)


def test_prefixes_of_the_lake_are_spelled_in_one_module_only() -> None:
    zone = re.compile(r"[\"'](raw|validated|processed|analytics|rejected|archive|events)/")
    spelled = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if zone.search(path.read_text())
    }
    assert spelled == {"atlas/lake.py"}


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_fresh(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run `make docs`"


def test_the_readme_shows_what_the_demo_comes_to() -> None:
    truth = json.loads((SAMPLE / "expected.json").read_text())["days"]
    rows = [
        {**books, "date": day, "rejected": sum(books["rejected"].values())}
        for day, formats in truth.items()
        for books in formats["formats"].values()
    ]
    assert in_words(rows) in (ROOT / "README.md").read_text()
