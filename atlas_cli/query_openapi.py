"""docs/openapi-queries.json: the query API as it describes itself."""

from __future__ import annotations

import json

from atlas.settings import QuerySettings
from lambda_query.app import Clients, create_app
from lambda_query.gate import by_authorizer


def page() -> str:
    """The document as a file."""
    nothing = Clients(athena=None, s3=None, glue=None)
    settings = QuerySettings("lake", "database", "workgroup", "stage")
    app = create_app(settings, nothing, by_authorizer, lambda _: None)
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"
