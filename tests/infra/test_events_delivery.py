"""From the queue to the events table, and who may: what the templates say, held to what the code expects."""

from __future__ import annotations

import json
import re
import string
from datetime import UTC, datetime
from typing import Any

import pytest

from atlas import access, events, lake, schema
from atlas.names import Names
from atlas.settings import AuthorizerSettings, ForwarderSettings, RotationSettings, TokenSettings
from tests.infra.conftest import STAGES, Json, Synth

MOMENT = datetime(2026, 2, 3, 4, 5, 6, 789, UTC)
MODULES = ("token", "authorizer", "forwarder", "rotation")


def _function(synth: Synth, module: str) -> Json:
    name = getattr(Names(synth.config.stage), f"{module}_function")
    return synth.one("AWS::Lambda::Function", FunctionName=name)


def _destination(synth: Synth) -> Json:
    told: Json = synth.one("AWS::KinesisFirehose::DeliveryStream")["ExtendedS3DestinationConfiguration"]
    return told


def test_a_request_waits_for_the_forwarder_and_ends_with_the_dead_letters_if_it_always_fails(prod: Synth) -> None:
    names, forwarder = Names("prod"), _function(prod, "forwarder")
    requests = prod.one("AWS::SQS::Queue", QueueName=names.events_queue)
    dead = prod.one("AWS::SQS::Queue", QueueName=names.events_dead_letter_queue)
    assert requests["VisibilityTimeout"] >= 6 * forwarder["Timeout"]
    assert requests["RedrivePolicy"]["maxReceiveCount"] == 5
    assert requests["RedrivePolicy"]["deadLetterTargetArn"].startswith("<EventsDeadLetters")
    for each in (requests, dead):
        assert each["MessageRetentionPeriod"] == 14 * 24 * 3600
        assert each["MaximumMessageSize"] == events.MESSAGE_BYTES  # what one takes, the other has to
    source = prod.source_of(forwarder)
    assert source["EventSourceArn"].startswith("<EventsQueue")
    assert (source["BatchSize"], source["MaximumBatchingWindowInSeconds"]) == (100, 5)
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_each_function_gets_settings_that_it_can_read(prod: Synth) -> None:
    names = Names("prod")
    told = {module: _function(prod, module)["Environment"]["Variables"] for module in MODULES}
    assert TokenSettings.from_env(told["token"]) == TokenSettings("prod", names.signing_key, names.client_secrets)
    assert AuthorizerSettings.from_env(told["authorizer"]) == AuthorizerSettings(
        "prod", access.audience("prod", access.EVENTS_API), names.signing_key, names.client_secrets
    )
    assert ForwarderSettings.from_env(told["forwarder"]) == ForwarderSettings(
        "atlas-lake-prod-111122223333-eu-central-1", names.ledger_table, names.delivery_stream
    )
    assert RotationSettings.from_env(told["rotation"]) == RotationSettings(names.signing_key, names.client_secrets)
    assert {_function(prod, module)["Handler"] for module in MODULES} == {
        f"lambda_events.{module}.handler" for module in MODULES
    }
    assert len({json.dumps(_function(prod, module)["Layers"]) for module in MODULES}) == 1  # one layer for all


def _partition(query: str, row: dict[str, Any]) -> dict[str, str]:
    """What the stream's query makes of an event, in the subset of jq that it is written in."""
    assert re.fullmatch(r"\{(\w+:\.\w+\[\d+:\d+\],?)+\}", query)
    return {
        key: row[name][int(start) : int(end)]
        for key, name, start, end in re.findall(r"(\w+):\.(\w+)\[(\d+):(\d+)\]", query)
    }


def test_an_event_lies_in_the_hour_of_its_own_time(prod: Synth) -> None:
    destination = _destination(prod)
    [processor] = destination["ProcessingConfiguration"]["Processors"]
    parameters = {each["ParameterName"]: each["ParameterValue"] for each in processor["Parameters"]}
    assert (processor["Type"], parameters["JsonParsingEngine"]) == ("MetadataExtraction", "JQ-1.6")
    keys = _partition(parameters["MetadataExtractionQuery"], {"event_timestamp": events.parquet_time(MOMENT)})
    assert tuple(keys) == tuple(key.name for key in schema.EVENTS.partition_keys)
    prefix = re.sub(r"!\{partitionKeyFromQuery:(\w+)\}", lambda found: keys[found[1]], destination["Prefix"])
    folder, _, name = prefix.rpartition("/")
    assert f"{folder}/" == f"{lake.events_day_prefix(MOMENT.date())}hour=04/"
    assert name == "!{timestamp:yyyyMMdd}-"  # without a time of its own, Firehose would add folders
    assert destination["DynamicPartitioningConfiguration"] == {
        "Enabled": True,
        "RetryOptions": {"DurationInSeconds": 7200},
    }


def test_what_cannot_be_written_lies_where_runs_and_people_look_for_it(prod: Synth) -> None:
    destination = _destination(prod)
    assert destination["ErrorOutputPrefix"] == (
        f"{lake.UNDELIVERED_EVENTS}!{{firehose:error-output-type}}/!{{timestamp:yyyy-MM-dd}}/"
    )
    logging = destination["CloudWatchLoggingOptions"]
    stream = prod.one("AWS::Logs::LogStream")
    assert (logging["Enabled"], logging["LogGroupName"]) == (True, Names("prod").delivery_logs)
    assert logging["LogStreamName"] == stream["LogStreamName"]
    assert destination["S3BackupMode"] == "Disabled"  # nobody would read, or expire, a second copy


def test_events_become_parquet_by_the_tables_own_schema(prod: Synth) -> None:
    destination = _destination(prod)
    conversion = destination["DataFormatConversionConfiguration"]
    told = conversion["SchemaConfiguration"]
    assert (told["DatabaseName"], told["TableName"]) == (prod.config.database, schema.EVENTS.name)
    assert told["VersionId"] == "LATEST"
    assert told["RoleARN"] == destination["RoleARN"]
    written = conversion["OutputFormatConfiguration"]["Serializer"]["ParquetSerDe"]
    assert written == {"Compression": "SNAPPY"}
    read = conversion["InputFormatConfiguration"]["Deserializer"]["OpenXJsonSerDe"]
    assert read == {"CaseInsensitive": False}  # else `URL` and `url` in properties would be one name, twice
    # What a conversion asks for: https://docs.aws.amazon.com/firehose/latest/dev/enable-record-format-conversion.html
    assert destination["CompressionFormat"] == "UNCOMPRESSED"
    assert destination["BufferingHints"] == {
        "IntervalInSeconds": prod.config.events.buffer_seconds,
        "SizeInMBs": 128,
    }


@pytest.mark.parametrize("stage", STAGES)
def test_what_the_stream_keeps_is_encrypted_and_the_lake_encrypts_what_it_writes(
    stages: dict[str, Synth], stage: str
) -> None:
    synth = stages[stage]
    kept = synth.one("AWS::KinesisFirehose::DeliveryStream")["DeliveryStreamEncryptionConfigurationInput"]
    assert kept["KeyType"] == ("CUSTOMER_MANAGED_CMK" if synth.config.encryption == "customer" else "AWS_OWNED_CMK")
    # It names no key of its own: so the bucket's default holds, with its bucket key.
    assert "EncryptionConfiguration" not in _destination(synth)


@pytest.mark.parametrize("stage", STAGES)
def test_the_signing_key_is_one_that_the_functions_read_and_is_renewed_as_the_stage_says(
    stages: dict[str, Synth], stage: str
) -> None:
    synth = stages[stage]
    secret = synth.one("AWS::SecretsManager::Secret")
    made = secret["GenerateSecretString"]
    assert secret["Name"] == Names(stage).signing_key
    assert made["ExcludePunctuation"] is True
    assert not {"IncludeSpace", "ExcludeLowercase", "ExcludeUppercase", "ExcludeNumbers"} & made.keys()
    letters = (string.ascii_letters + string.digits) * 2
    value = json.loads(made["SecretStringTemplate"]) | {
        made["GenerateStringKey"]: letters[: made["PasswordLength"]]
    }
    assert access.SigningKey.from_secret(json.dumps(value)).kid == "initial"
    assert made["PasswordLength"] == access.KEY_CHARACTERS
    schedule = synth.one("AWS::SecretsManager::RotationSchedule")
    assert (schedule["SecretId"], schedule["RotationLambdaARN"]) == ("<SigningKey>", _arn(synth, "rotation"))
    assert schedule["RotationRules"] == {"AutomaticallyAfterDays": synth.config.events.rotation_days}
    assert schedule["RotateImmediatelyOnUpdate"] is False


def _arn(synth: Synth, module: str) -> str:
    template = synth.templates[f"Atlas-{synth.config.stage.capitalize()}-Events"]
    function = _function(synth, module)
    [name] = [name for name, each in template["Resources"].items() if each.get("Properties") is function]
    return f"<{name}.Arn>"


def test_only_secrets_of_this_account_are_renewed_and_the_function_may_be_called_before_that_is_tried(
    prod: Synth,
) -> None:
    [permission] = [
        each
        for each in prod.resources("AWS::Lambda::Permission")
        if each["Principal"] == "secretsmanager.amazonaws.com"
    ]
    assert permission == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": _arn(prod, "rotation"),
        "Principal": "secretsmanager.amazonaws.com",
        "SourceAccount": "111122223333",
    }
    resources = prod.templates["Atlas-Prod-Events"]["Resources"]
    [schedule] = [each for each in resources.values() if each["Type"] == "AWS::SecretsManager::RotationSchedule"]
    [before] = schedule["DependsOn"]
    assert resources[before]["Properties"] is permission
