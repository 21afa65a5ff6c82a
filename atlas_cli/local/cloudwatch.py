"""CloudWatch: metrics from the functions' logs, alarms that see what those of AWS see, and who may count what.

AWS takes metrics out of a function's log (the embedded metric format), has alarms on expressions, tells metrics
apart by their dimensions, looks at every alarm each minute, and lets a policy name the namespace to put into.
ministack 1.5.33 does none of it, and refuses a stack with an alarm on an expression. Here alarms are looked at
whenever a metric is put, and soon after one was in a log. Left out is that AWS looks further back for data if some
are missing.
"""

from __future__ import annotations

import ast
import contextvars
import json
import operator
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core import iam_actions
from ministack.services import cloudwatch, lambda_svc
from ministack.services.cloudformation import provisioners

Value = float | None
"""None: no data."""
Window = Callable[[Mapping[str, Any]], Value]
"""The value that a `MetricStat` has in one window of time."""

_SOON_SECONDS = 0.5
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / right if right else None,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
}
_BREACHES = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


def install() -> None:
    """Close the gaps."""
    _embedded_metrics()
    _alarms_on_expressions()
    _namespaces_in_policies()
    cloudwatch._evaluate_alarm = _look_at


def state(alarm: Mapping[str, Any], windows: list[Window]) -> str:
    """OK, ALARM or INSUFFICIENT_DATA, by the alarm's windows of time, as AWS describes it.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    """
    breaches = [_breaches(alarm, value_of(alarm, window)) for window in windows]
    if breaches.count(True) >= int(alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"]):
        return "ALARM"
    if breaches.count(None) == len(breaches):
        return str(alarm["StateValue"]) if alarm.get("TreatMissingData") == "ignore" else "INSUFFICIENT_DATA"
    return "OK"


def value_of(alarm: Mapping[str, Any], window: Window) -> Value:
    """What the alarm watches, in one window. Raises ValueError for an expression that is beyond this module."""
    if not alarm.get("Metrics"):
        return window({"Metric": alarm, "Stat": alarm["Statistic"]})
    queries = {query["Id"]: query for query in alarm["Metrics"]}
    [returned] = [query for query in alarm["Metrics"] if query.get("ReturnData", True)]

    def find(name: str) -> Value:
        query = queries[name]
        if "Expression" in query:
            found: Value = _calculate(ast.parse(query["Expression"], mode="eval").body, find)
            return found
        return window(query["MetricStat"])

    return find(returned["Id"])


def _breaches(alarm: Mapping[str, Any], value: Value) -> bool | None:
    if value is None:
        return {"breaching": True, "notBreaching": False}.get(alarm.get("TreatMissingData", "missing"))
    return bool(_BREACHES[alarm["ComparisonOperator"]](value, float(alarm["Threshold"])))


def _calculate(node: ast.expr, find: Callable[[str], Value]) -> Any:
    """Metric math, as far as alarms need it. Python's grammar has it too."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return find(name)
        case (
            ast.BinOp(left=left, op=operation, right=right)
            | ast.Compare(left=left, ops=[operation], comparators=[right])
        ) if type(operation) in _OPERATORS:
            one, other = _calculate(left, find), _calculate(right, find)
            return None if one is None or other is None else _OPERATORS[type(operation)](one, other)
        case ast.Call(func=ast.Name(id="FILL"), args=[series, otherwise]):
            found = _calculate(series, find)
            return _calculate(otherwise, find) if found is None else found
        case ast.Call(func=ast.Name(id="IF"), args=[condition, then, otherwise]):
            held = _calculate(condition, find)
            return None if held is None else _calculate(then if held else otherwise, find)
    raise ValueError(f"metric math that the local cloud does not know: {ast.unparse(node)}")


def _look_at(alarm: dict[str, Any]) -> None:
    """Take the place of ministack's look at an alarm."""
    stats = [query["MetricStat"] for query in alarm.get("Metrics", ()) if "MetricStat" in query]
    period = int(stats[0]["Period"] if stats else alarm["Period"])
    now = time.time()
    before = alarm["StateValue"]
    after = state(
        alarm,
        [_window(now - (n + 1) * period, now - n * period) for n in range(int(alarm["EvaluationPeriods"]))],
    )
    if after == before:
        return
    reason = f"{alarm['ComparisonOperator']} {alarm['Threshold']}: {after}"
    alarm.update(StateValue=after, StateReason=reason, StateUpdatedTimestamp=int(now))
    cloudwatch._record_history(alarm["AlarmName"], before, after, reason)
    cloudwatch._dispatch_alarm_actions(alarm, before, after, reason)


def _window(begin: float, end: float) -> Window:
    def value(stat: Mapping[str, Any]) -> Value:
        metric = stat["Metric"]
        dimensions = {each["Name"]: each["Value"] for each in metric.get("Dimensions") or ()}
        key = (metric["Namespace"], metric["MetricName"], cloudwatch._dims_key(dimensions))
        points = [point for point in cloudwatch._metrics.get(key) or () if begin < point["Timestamp"] <= end]
        return cloudwatch._calc_stats(points)[stat["Stat"]] if points else None

    return value


def _alarms_on_expressions() -> None:
    """AWS's alarms may watch an expression; ministack's CloudFormation refuses them."""
    of_one_metric = provisioners._cw_metric_alarm_record

    def record(name: str, properties: dict[str, Any]) -> dict[str, Any]:
        if not properties.get("Metrics"):
            return dict(of_one_metric(name, properties))
        plain = {key: value for key, value in properties.items() if key != "Metrics"}
        alarm = of_one_metric(name, {**plain, "MetricName": "-", "Namespace": "-"})
        for key in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions", "Unit"):
            alarm.pop(key, None)
        return {**alarm, "Metrics": properties["Metrics"]}

    provisioners._cw_metric_alarm_record = record


def _namespaces_in_policies() -> None:
    """AWS knows the condition key `cloudwatch:namespace`; for ministack no request has it."""
    context_of = iam_actions.request_tag_context

    def context(service: str, action: str, body: bytes, parameters: dict[str, Any]) -> dict[str, Any]:
        found = context_of(service, action, body, parameters)
        if action != "cloudwatch:PutMetricData":
            return dict(found)
        return {**found, "cloudwatch:namespace": json.loads(body)["Namespace"]}  # boto3 speaks JSON to CloudWatch

    iam_actions.request_tag_context = context


def _embedded_metrics() -> None:
    """AWS takes metrics out of the lines of a function's log that hold them; ministack keeps the lines only.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    emit = lambda_svc._emit_lambda_logs

    def emit_lambda_logs(func: Any, request_id: str, log_text: str, *others: Any, **named: Any) -> None:
        emit(func, request_id, log_text, *others, **named)
        found = [line for line in log_text.splitlines() if line.startswith('{"_aws":')]
        for line in found:
            _put(json.loads(line))
        if found:
            look_soon()

    look_soon = _Soon(cloudwatch._evaluate_all_alarms)
    lambda_svc._emit_lambda_logs = emit_lambda_logs


class _Soon:
    """A call that is made once for all who want it within a moment: it takes as long as a request to a function."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call, self._lock, self._waits = call, threading.Lock(), False

    def __call__(self) -> None:
        with self._lock:
            if self._waits:
                return
            self._waits = True
        # Which account and region it is about, ministack keeps in the context.
        timer = threading.Timer(_SOON_SECONDS, contextvars.copy_context().run, [self._now])
        timer.daemon = True
        timer.start()

    def _now(self) -> None:
        with self._lock:
            self._waits = False
        self._call()


def _put(document: dict[str, Any]) -> None:
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = {name: document[name] for name in names}
            for metric in directive["Metrics"]:
                values = document[metric["Name"]]
                for value in values if isinstance(values, list) else [values]:
                    cloudwatch.record_metric(
                        directive["Namespace"], metric["Name"], value, metric.get("Unit", "None"), dimensions
                    )
