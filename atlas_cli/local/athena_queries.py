"""How Athena takes a query: its parameters, results that are used again, views, and named queries of stacks.

ministack 1.5.33 ignores execution parameters and the reuse of results, and knows neither views of the catalog nor
the resource type AWS::Athena::NamedQuery. What stands here is what AWS does:
https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html
"""

from __future__ import annotations

import base64
import copy
import json
import re
import time
from typing import Any

from ministack.core.responses import json_response, new_uuid
from ministack.services import athena, glue
from ministack.services.cloudformation import provisioners

from atlas_cli.local.athena_tables import duckdb_type, quoted

_TEXT = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\""
_PARAMETER = re.compile(rf"{_TEXT}|--[^\n]*|\?")
_BLANK = re.compile(rf"({_TEXT})|--[^\n]*|\s+")
_VIEW = re.compile(r"/\* Presto View: (\S+) \*/")
_DEFAULT_MINUTES = 60
"""The age of results that are used again, if a query that allows it does not say how old they may be."""


def install() -> None:
    """Close the gaps. What reads tables (athena_tables.py) is to be installed before."""
    _take_parameters_and_reuse_results()
    _expand_views()
    _named_queries_of_stacks()


def bind(query: str, parameters: list[str]) -> str:
    """`query` with each `?` outside quotes and comments replaced, in order, as Athena does: by the text given."""
    remaining = iter(parameters)
    return _PARAMETER.sub(lambda m: next(remaining, "?") if m.group() == "?" else m.group(), query)


def expand(query: str, database: str) -> str:
    """`query` with what each view stands for in the place of its name, with the columns it declares."""
    for reference in reversed(athena._table_references(query)):
        table = glue._tables.get(f"{reference.database or database}/{reference.table}") or {}
        found = _VIEW.fullmatch(table.get("ViewOriginalText") or "")
        if found:
            view = json.loads(base64.b64decode(found[1]))
            columns = ", ".join(
                f"CAST({quoted(column['Name'])} AS {duckdb_type(column['Type'])}) AS {quoted(column['Name'])}"
                for column in table["StorageDescriptor"]["Columns"]
            )
            rows = expand(view["originalSql"], view["schema"])
            alias = "" if reference.aliased else f" AS {quoted(reference.table)}"
            told = f"(SELECT {columns} FROM ({rows}\n)){alias}"  # noqa: S608 (the catalog's own text)
            query = query[: reference.start] + told + query[reference.end :]
    return query


def _take_parameters_and_reuse_results() -> None:
    """Of an execution AWS tells the query as it was sent, the parameters, and whether its result is another's."""
    start = athena._start_query_execution

    def start_query_execution(data: dict[str, Any]) -> Any:
        parameters = data.get("ExecutionParameters") or []
        reuse = data.get("ResultReuseConfiguration") or {}
        earlier = _earlier(data, parameters, reuse.get("ResultReuseByAgeConfiguration") or {})
        if earlier:
            made = new_uuid()
            athena._executions[made] = execution = copy.copy(earlier)
            now = int(time.time())
            execution["QueryExecutionId"] = made
            execution["Status"] = {**earlier["Status"], "SubmissionDateTime": now, "CompletionDateTime": now}
            execution["Statistics"] = {**earlier["Statistics"], "DataScannedInBytes": 0}
            execution["_reused"] = True
            answer = json_response({"QueryExecutionId": made})
        else:
            answer = start({**data, "QueryString": bind(data.get("QueryString", ""), parameters)})
            if answer[0] != 200:
                return answer
            execution = athena._executions[json.loads(answer[2])["QueryExecutionId"]]
        execution["Query"] = data["QueryString"]
        if parameters:
            execution["ExecutionParameters"] = parameters
        if reuse:
            execution["ResultReuseConfiguration"] = reuse
        execution["Statistics"]["ResultReuseInformation"] = {"ReusedPreviousResult": earlier is not None}
        return answer

    athena._start_query_execution = start_query_execution


def _earlier(data: dict[str, Any], parameters: list[str], by_age: dict[str, Any]) -> dict[str, Any] | None:
    """The last execution of the same query whose result is young enough and still there, if reuse is asked for.

    AWS promises nothing about blanks and comments: here they make no difference, which is the harder case for who
    relies on it. Nobody looks whether the data has changed.
    """
    if not by_age.get("Enabled"):
        return None
    oldest = time.time() - 60 * int(by_age.get("MaxAgeInMinutes", _DEFAULT_MINUTES))
    asked = _same(data.get("QueryString", ""), parameters, data)
    fitting = [
        execution
        for execution in athena._executions.values()
        if execution["Status"]["State"] == "SUCCEEDED"
        and not execution.get("_reused")
        and execution["Status"]["CompletionDateTime"] >= oldest
        and _same(
            execution["Query"],
            execution.get("ExecutionParameters") or [],
            {"WorkGroup": execution["WorkGroup"], "QueryExecutionContext": execution["QueryExecutionContext"]},
        )
        == asked
    ]
    return max(fitting, key=lambda execution: int(execution["Status"]["CompletionDateTime"]), default=None)


def _same(query: str, parameters: list[str], where: dict[str, Any]) -> tuple[Any, ...]:
    context = where.get("QueryExecutionContext") or {}
    text = _BLANK.sub(lambda m: m[1] or " ", query).split()
    return (text, parameters, where.get("WorkGroup", "primary"), context.get("Database", "default"))


def _expand_views() -> None:
    rewrite = athena._rewrite_data_paths

    async def rewrite_data_paths(query: str, database: str, catalog: str | None = None) -> Any:
        return await rewrite(expand(query, database), database, catalog)

    athena._rewrite_data_paths = rewrite_data_paths


def _named_queries_of_stacks() -> None:
    """What CloudFormation makes of the type; a change replaces it.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-athena-namedquery.html
    """

    def create(_logical_id: str, properties: dict[str, Any], _stack: str) -> tuple[str, dict[str, str]]:
        workgroup = properties.get("WorkGroup", "primary")
        if workgroup not in athena._workgroups:
            raise ValueError(f"WorkGroup {workgroup} is not found.")
        made = json.loads(athena._create_named_query(properties)[2])["NamedQueryId"]
        return made, {"NamedQueryId": made}

    def delete(physical_id: str, _properties: dict[str, Any]) -> None:
        athena._delete_named_query({"NamedQueryId": physical_id})

    def update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str
    ) -> tuple[str, dict[str, str]]:
        made = create("", new, stack)
        delete(physical_id, old)
        return made

    provisioners._RESOURCE_HANDLERS["AWS::Athena::NamedQuery"] = {
        "create": create,
        "update": update,
        "delete": delete,
    }
