"""One canary for each gap of ministack that atlas_cli/local closes.

A canary that fails means that ministack has changed there: look whether the gap is still one, and whether our
replacement still fits what it replaces.
"""

from __future__ import annotations

import inspect
from importlib.metadata import version
from types import ModuleType
from typing import Any

import pytest
from airspeed import operators  # type: ignore[import-untyped]
from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import (
    apigateway,
    apigateway_v1,
    athena,
    cloudwatch,
    cloudwatch_logs,
    eventbridge,
    firehose,
    glue,
    lambda_svc,
    s3,
    scheduler,
    secretsmanager,
    sqs,
    stepfunctions,
)
from ministack.services.cloudformation import provisioners

from atlas_cli.local import lambda_runtimes

_SENT = ("headers", "body", "query_params")
_INVOKED = ("integration", "api_id", "stage_name", "stage", "resource", "request_path", "method")


def test_the_version_is_the_one_that_was_patched() -> None:
    assert version("ministack") == "1.5.33"


@pytest.mark.parametrize(
    ("module", "name", "parameters"),
    [
        (app, "pin_request_origin", ["source_ip", "secure_transport"]),
        (iam_actions, "extract_iam_action", ["service", "method", "path", "headers", "body", "query_params"]),
        (
            iam_actions,
            "extract_resource_arn",
            ["service", "method", "path", "headers", "body", "query_params", "region", "account_id"],
        ),
        (iam_actions, "request_tag_context", ["service", "iam_action", "body", "params"]),
        (lambda_svc, "_emit_lambda_logs", ["func", "request_id", "log_text"]),
        (provisioners, "_cw_metric_alarm_record", ["name", "props"]),
        (cloudwatch, "_calc_stats", ["points"]),
        (cloudwatch, "_dims_key", ["dims"]),
        (cloudwatch, "_dispatch_alarm_actions", ["alarm", "old_state", "new_state", "reason"]),
        (cloudwatch, "_evaluate_alarm", ["alarm"]),
        (cloudwatch, "_record_history", ["alarm_name", "old_state", "new_state", "reason"]),
        (cloudwatch, "record_metric", ["namespace", "metric_name", "value", "unit", "dimensions"]),
        (athena, "_data_format", ["table_data"]),
        (athena, "_datum_text", ["value"]),
        (athena, "_empty_relation", ["table_data"]),
        (athena, "_hive_options", ["partitions"]),
        (athena, "_rewrite_data_paths", ["query", "database", "catalog"]),
        (athena, "_save_query_results", ["query_id"]),
        (athena, "_start_query_execution", ["data"]),
        (athena, "_create_named_query", ["data"]),
        (athena, "_delete_named_query", ["data"]),
        (athena, "_table_references", ["query"]),
        (athena, "_table_relation", ["table_data", "files"]),
        (eventbridge, "_dispatch_event", ["event", "view"]),
        (eventbridge, "_invoke_target", ["target", "event", "rule", "view"]),
        (glue, "_batch_stop_job_run", ["data"]),
        (glue, "_create_job", ["data"]),
        (glue, "_start_crawler", ["data"]),
        (glue, "_start_job_run", ["data"]),
        (glue, "_update_job", ["data"]),
        (lambda_runtime, "_detect_runtime_binary", ["runtime"]),
        (lambda_svc, "_execute_function_warm", ["func", "event", "request_id"]),
        (stepfunctions, "_add_event", ["execution", "event_type", "details"]),
        (stepfunctions, "_call_lambda", ["func_ref", "event"]),
        (stepfunctions, "_execute_task", ["state_def", "raw_input", "execution", "ctx"]),
        (s3, "_put_object", ["bucket_name", "key", "body", "headers"]),
        (stepfunctions, "_invoke_aws_sdk_integration", ["resource", "input_data"]),
        (apigateway, "handle_execute", ["api_id", "stage", "path", "method", *_SENT, "raw_query_string"]),
        (apigateway, "run_reentrant", ["fn"]),
        (apigateway_v1, "_build_lambda_event_v1", ["api_id", "stage_name"]),
        (apigateway_v1, "_check_api_key", ["method_obj", "api_id", "stage_name", "headers"]),
        (apigateway_v1, "_check_request_validation", ["method_obj", "api_id", "request", *_SENT]),
        (apigateway_v1, "_execute_in_scope", ["request", "api_id", "stage_name", "method", "path", *_SENT]),
        (apigateway_v1, "_gateway_error_response", ["error", "request"]),
        (apigateway_v1, "_gateway_request_value", ["source", "request"]),
        (apigateway_v1, "_gw_error", ["response_type", "message"]),
        (apigateway_v1, "_handle_execute_in_scope", ["api_id", "stage_name", "method", "path", *_SENT]),
        (apigateway_v1, "_header_ci", ["headers", "name"]),
        (apigateway_v1, "_invoke_authorizer_lambda", ["authorizer", "event", "account_id", "region"]),
        (apigateway_v1, "_invoke_sqs_v1", [*_INVOKED, *_SENT, "path_params", "owner_account_id"]),
        (apigateway_v1, "_lambda_proxy_response", ["result"]),
        (apigateway_v1, "_model_schema", ["api_id", "model_name"]),
        (apigateway_v1, "_parse_service_integration_uri", ["uri"]),
        (apigateway_v1, "_regex_search", ["pattern", "text"]),
        (apigateway_v1, "_select_service_integration_response", ["integration", "backend_status"]),
        (firehose, "_convert_to_parquet", ["conversion", "data"]),
        (firehose, "_evaluate_prefix", ["template", "t", "query_keys"]),
        (firehose, "_metadata_extraction_keys", ["cfg", "data"]),
        (firehose, "_put_record_batch", ["data"]),
        (provisioners, "_apigw_method_create", ["logical_id", "props", "stack_name"]),
        (provisioners, "_sm_secret_string", ["props"]),
        (secretsmanager, "_find_stage_version", ["secret", "stage"]),
        (secretsmanager, "_get_secret_value", ["data"]),
        (secretsmanager, "_put_secret_value", ["data"]),
        (secretsmanager, "_remove_stage_everywhere", ["secret", "stage", "except_version_id"]),
        (secretsmanager, "_resolve", ["secret_id"]),
        (secretsmanager, "_rotate_secret", ["data"]),
        (sqs, "_act_send_message", ["data", "qurl"]),
        (sqs, "_collect_msgs", ["q", "max_n", "vis_timeout"]),
        (sqs, "_receive_messages_for_esm", ["queue_url", "max_number"]),
    ],
    ids=lambda value: value.__name__.rsplit(".", 1)[-1] if isinstance(value, ModuleType) else None,
)
def test_each_function_that_is_replaced_or_called_is_there(
    module: ModuleType, name: str, parameters: list[str]
) -> None:
    assert list(inspect.signature(getattr(module, name)).parameters)[: len(parameters)] == parameters


def test_plain_http_is_not_tls_for_ministack() -> None:
    assert "scheme" in inspect.getsource(app.app)
    assert list(inspect.signature(iam_evaluator.pin_request_origin).parameters) == ["source_ip", "secure_transport"]


def test_step_functions_lacks_the_glue_integration() -> None:
    known = stepfunctions._SERVICE_DISPATCH
    assert not any("glue" in resource for resource in known)
    assert "arn:aws:states:::sqs:sendMessage" in known  # else the table is not the one we add to


def test_the_history_lacks_the_states_of_a_map() -> None:
    assert "_add_event" not in _source(stepfunctions._run_sub_machine)
    assert 'ctx["State"] = {"Name": current_name' in _source(stepfunctions._run_sub_machine)
    assert 'item_ctx["Map"] = ' in _source(stepfunctions._run_map_items)


def test_a_function_without_room_for_a_call_is_an_unknown_error_in_step_functions() -> None:
    assert 'body.get("errorType", "Lambda.Unknown")' in _source(stepfunctions._call_lambda)
    told = lambda_svc._throttle_response("reason", "message")["body"]
    assert (told["__type"], "errorType" in told) == ("TooManyRequestsException", False)


def test_a_spark_job_without_docker_succeeds_without_running() -> None:
    source = _source(glue._start_job_run)
    assert 'elif _is_spark_job(job):\n            run["JobRunState"] = "SUCCEEDED"' in source


def test_the_limit_of_concurrent_runs_is_forgotten() -> None:
    assert "ExecutionProperty" not in inspect.getsource(glue)
    assert "ExecutionProperty" not in provisioners._GLUE_JOB_DEFAULTS


def test_a_stopped_run_is_stopped_in_name_only() -> None:
    source = _source(glue._batch_stop_job_run)
    assert '"STOPPED"' in source
    assert "kill" not in source


def test_a_crawler_does_nothing() -> None:
    assert "partition" not in _source(glue._start_crawler).lower()


def test_object_events_lack_the_version() -> None:
    assert "version-id" not in _source(s3._fire_s3_event)
    assert {"version_id"} <= set(inspect.signature(s3._fire_s3_event).parameters)


def test_the_scheduler_leaves_its_placeholders() -> None:
    assert "aws.scheduler." not in inspect.getsource(scheduler) + inspect.getsource(eventbridge)


def test_schedules_are_looked_at_every_ten_seconds() -> None:
    assert scheduler._SCHEDULE_TICK_INTERVAL == 10
    assert "time.sleep(_SCHEDULE_TICK_INTERVAL)" in _source(scheduler._ticker_loop)


def test_athena_ignores_execution_parameters_reuse_of_results_and_views() -> None:
    source = inspect.getsource(athena)
    assert [word for word in ("ExecutionParameters", "ResultReuse", "ViewOriginalText") if word in source] == []


def test_stacks_have_no_named_queries_of_athena() -> None:
    assert "AWS::Athena::NamedQuery" not in provisioners._RESOURCE_HANDLERS


def test_athena_takes_parquet_columns_and_partitions_from_the_files() -> None:
    source = _source(athena._table_relation)
    assert 'return f"read_parquet({_sql_list(files)}, union_by_name = true, {hive})"' in source
    assert "_partitions" not in _source(athena._rewrite_data_paths)


def test_athena_makes_a_folder_of_the_result() -> None:
    assert "{query_id}.csv" in _source(athena._start_query_execution)
    assert 'f"{key_prefix}/{query_id}.csv"' in _source(athena._save_query_results)


def test_a_function_gets_the_emulators_python_and_some_node() -> None:
    assert lambda_runtime._detect_runtime_binary("nodejs22.x")[0] == "node"
    spawn = _source(lambda_runtime.Worker._spawn)
    assert "spawn_env = {**os.environ, **env_vars}" in spawn
    assert "[binary, worker_path]" in spawn


def test_node_functions_lack_the_s3_client_of_the_aws_sdk() -> None:
    script = lambda_runtime._detect_runtime_binary("nodejs22.x")[1]
    assert "has no stub for" in script
    assert '"@aws-sdk/client-s3"' not in script


def test_all_errors_of_functions_have_one_type() -> None:
    assert 'error_type = "Runtime.HandlerError"' in _source(lambda_svc._execute_function_warm)
    assert '"error": "Worker process died"' in _source(lambda_runtime.Worker.invoke)


def test_a_stack_with_an_alarm_on_an_expression_is_refused() -> None:
    assert "Properties.Metrics (metric math) is not supported" in _source(provisioners._cw_metric_alarm_record)


def test_an_alarm_mixes_the_metrics_of_all_dimensions_up_and_knows_no_missing_data() -> None:
    source = _source(cloudwatch._evaluate_alarm)
    assert "for (k_ns, k_mn, _), pts in _metrics.items()" in source
    assert "TreatMissingData" not in source
    assert "_evaluate_all_alarms()" in _source(cloudwatch._put_metric_data)


def test_metrics_in_a_log_stay_there() -> None:
    assert "CloudWatchMetrics" not in inspect.getsource(cloudwatch_logs)
    assert "CloudWatchMetrics" not in _source(lambda_svc._emit_lambda_logs)


def test_a_batch_of_messages_is_an_action_of_its_own() -> None:
    request: Any = ("POST", "/", {"x-amz-target": "AmazonSQS.SendMessageBatch"}, b"{}", {})
    assert iam_actions.extract_iam_action("sqs", *request) == "sqs:SendMessageBatch"


def test_a_query_of_athena_is_of_no_workgroup_to_iam() -> None:
    request: Any = ("POST", "/", {}, b'{"QueryExecutionId": "some"}', {}, "us-east-1", "1")
    assert iam_actions.extract_resource_arn("athena", *request) == "*"


def test_no_request_has_the_namespace_of_its_metrics() -> None:
    assert "cloudwatch:namespace" not in inspect.getsource(iam_actions) + inspect.getsource(iam_evaluator)
    assert "request_tag_context(service, iam_action, body, routing_params)" in inspect.getsource(app)


def test_api_gateway_renders_little_of_its_templates_and_knows_little_of_a_request() -> None:
    assert "#foreach" not in inspect.getsource(apigateway_v1)
    called = _source(apigateway_v1._invoke_sqs_v1)
    assert 'vtl_context = {"authorizer": authorizer_context}' in called
    assert "Override" not in inspect.getsource(apigateway_v1)
    assert '"extendedRequestId": request_id' in _source(apigateway_v1._build_lambda_event_v1)


def test_api_gateway_calls_sqs_with_nobodys_rights_and_hears_xml() -> None:
    called = _source(apigateway_v1._invoke_sqs_v1)
    assert 'integration.get("credentials")' not in called
    assert "_sqs_svc._xml_err_resp" in called


def test_api_gateway_does_not_say_what_is_wrong_with_a_body() -> None:
    assert "validationErrorString" not in inspect.getsource(apigateway_v1)
    validated = _source(apigateway_v1._check_request_validation)
    assert 'method_obj.get("requestModels") or {}).get("application/json")' in validated
    assert "json.loads(body)" in validated
    assert "re.search(pattern, text)" in _source(apigateway_v1._regex_search)


def test_api_gateway_knows_clients_by_a_header_only() -> None:
    assert "usageIdentifierKey" not in inspect.getsource(apigateway_v1)
    assert "apiKeySource" not in _source(apigateway_v1._check_api_key)


def test_api_gateway_tells_the_client_what_a_function_failed_of_and_takes_bodies_of_any_length() -> None:
    assert 'return None, str(lambda_response.get("body")' in _source(apigateway_v1._lambda_proxy_response)
    assert '_gw_error("REQUEST_TOO_LARGE"' not in inspect.getsource(apigateway_v1)


def test_http_apis_tell_the_client_what_a_function_failed_of_and_make_up_ids_wherever_there_is_one() -> None:
    called = _source(apigateway._invoke_lambda_proxy)
    assert "lambda_execute_result_to_api_proxy_response(result)" in called
    assert 'thread_name="ministack-apigw-invoke"' in called
    assert '"requestId": new_uuid()' in called
    assert "payload = json.dumps(err_body)" in _source(lambda_svc.lambda_execute_result_to_api_proxy_response)
    assert 'setdefault("apigw-requestid", ' in _source(app._handle_execute_api_request)


def test_a_stacks_authorizer_has_an_identity_source_that_nobody_asked_for() -> None:
    assert 'props.get("IdentitySource", ["$request.header.Authorization"])' in _source(
        provisioners._apigw_v2_authorizer_create
    )


def test_http_apis_throttle_nobody() -> None:
    assert "throttl" not in _source(apigateway._handle_execute_in_scope)


def test_stacks_forget_an_apis_key_source_and_the_validators_of_its_methods() -> None:
    assert "ApiKeySourceType" not in _source(provisioners._apigw_rest_api_create)
    assert "RequestValidatorId" not in _source(provisioners._apigw_method_create)
    assert "_apigw_v1" not in _source(provisioners._apigw_request_validator_create)


def test_the_template_engine_takes_nothing_for_true() -> None:
    assert "if result is None:\n            return True" in inspect.getsource(operators.Condition)
    assert "is None:\n            return False" in inspect.getsource(operators.UnaryOperatorValue)


def test_a_message_is_as_long_as_its_body_and_ten_are_a_batch_that_no_window_delays() -> None:
    assert "if body_bytes > max_size" in _source(sqs._act_send_message)
    assert "min(int(max_number or 1), 10)" in _source(sqs._receive_messages_for_esm)
    assert "BatchingWindow" not in _source(lambda_svc._poll_sqs)


def test_a_delivery_stream_writes_an_object_a_record_with_nobodys_rights() -> None:
    put = _source(firehose._put_record_batch)
    assert "_deliver_records_to_s3(stream, dest, [(record_id, decoded)])" in put
    assert "4 MiB" not in put
    assert "RoleARN" not in _source(firehose._deliver_to_s3) + _source(firehose._put_s3_object)


def test_a_rotation_copies_the_secret_and_calls_nobody() -> None:
    assert "RotateSecret stub" in _source(secretsmanager._rotate_secret)
    assert "ResourceExistsException" not in _source(secretsmanager._put_secret_value)
    assert 'result["SecretString"] = ver["SecretString"]' in _source(secretsmanager._get_secret_value)


def test_a_stacks_secret_is_known_by_its_name_made_of_any_characters_and_never_rotated() -> None:
    assert 'return name, {"Id": arn, "Arn": arn}' in _source(provisioners._sm_secret_create)
    assert "ExcludePunctuation" not in _source(provisioners._sm_secret_string)
    assert "AWS::SecretsManager::RotationSchedule" not in provisioners._RESOURCE_HANDLERS


def test_a_process_ends_when_its_function_raises_and_unpacks_what_others_have_unpacked() -> None:
    script = lambda_runtime._detect_runtime_binary("python3.13")[1]
    assert script.count(lambda_runtimes._RAISED[0]) == 1
    assert 'if response.get("status") == "error":\n                proc, self._proc' in _source(
        lambda_runtime.Worker.invoke
    )
    assert _source(lambda_runtime.Worker._spawn).count("zf.extractall(") == 2


def test_ministack_binds_every_interface_unless_told() -> None:
    assert 'os.environ.get("BIND_HOST", "0.0.0.0")' in _source(app.main)
    assert "IOT_MTLS_ENABLED" in inspect.getsource(app)


def _source(function: Any) -> str:
    return inspect.getsource(function)
