"""What is strict of every request, whatever it asks."""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.requests import Request

from lambda_query.problems import ProblemError


async def only_known_parameters(request: Request) -> None:  # else it would wait for a thread
    """Raises ProblemError if the query has a parameter that the route does not take, or one twice."""
    known = _names(request.scope["route"].dependant)
    counted = Counter(name for name, _ in request.query_params.multi_items())
    has = ", ".join(sorted(known)) or "none"
    errors = [
        {"parameter": name[:64], "detail": "it is there twice" if name in known else f"unknown; there are: {has}"}
        for name, times in counted.items()
        if times > 1 or name not in known
    ]
    if errors:
        raise ProblemError(400, "The request has parameters that this resource does not take.", errors=errors)


def _names(dependant: Any) -> set[str]:
    """The query parameters of a route and of what it depends on."""
    names = {field.alias for field in dependant.query_params}
    return names.union(*(_names(further) for further in dependant.dependencies))
