"""What a role of a template may do, in words."""

from __future__ import annotations

from typing import Any


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def simple(resource: str, statement: dict[str, Any]) -> str:
    """A resource in words: generated parts of names left out, a condition on a prefix or a namespace added."""
    if "/cdk-hnb659fds-assets" in resource or "-assets-111122223333" in resource:
        return resource.rsplit("/", 1)[0] + "/<asset>"
    for name in ("IngestQueue", "EventsQueue", "SigningKey", "Daily"):
        if resource.startswith(f"<{name}"):
            return f"<{name}{'.Arn' if resource.endswith('.Arn>') else ''}>"
    condition = statement.get("Condition")
    if condition is None:
        return resource
    if resource.startswith("<SsmParameterValueatlas"):
        assert set(condition["StringEquals"]) == {"kms:ViaService"}
        return f"the key by way of {condition['StringEquals']['kms:ViaService']}"
    if condition.keys() == {"StringEquals"}:
        assert set(condition["StringEquals"]) == {"cloudwatch:namespace"}
        return f"{resource} in {condition['StringEquals']['cloudwatch:namespace']}"
    assert set(condition) == {"StringLike"}
    assert set(condition["StringLike"]) == {"s3:prefix"}
    return f"{resource} under {', '.join(listed(condition['StringLike']['s3:prefix']))}"


def allowed(role: dict[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            for action in listed(statement["Action"]):
                resources = {simple(each, statement) for each in listed(statement["Resource"])}
                found.setdefault(action, set()).update(resources)
    return found
