"""What is at rest is encrypted, out of the public's reach and hard to lose: with whose key the stage says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from atlas.names import Names
from stacks.config import StageConfig, read_context
from stacks.data import DataStack
from tests.infra.conftest import STAGES, Json, Synth, plain

NAMES = Names("prod")
_HERE = "eu-central-1:111122223333"


def _policies(synth: Synth, kind: str) -> list[list[Json]]:
    return [policy["PolicyDocument"]["Statement"] for policy in synth.resources(kind)]


def _algorithm(bucket: Json) -> Json:
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    told: Json = rule["ServerSideEncryptionByDefault"]
    return told


def _results(synth: Synth) -> list[Json]:
    groups = [each["WorkGroupConfiguration"] for each in synth.resources("AWS::Athena::WorkGroup")]
    return [each["ResultConfiguration"]["EncryptionConfiguration"] for each in groups]


def _uses(synth: Synth) -> list[Any]:
    """With what each thing is encrypted that can have a key of the stage's own."""
    return [
        _algorithm(synth.bucket()).get("KMSMasterKeyID"),
        synth.one("AWS::DynamoDB::Table").get("SSESpecification", {}).get("KMSMasterKeyId"),
        synth.one("AWS::SNS::Topic").get("KmsMasterKeyId"),
        *(each.get("KmsKey") for each in _results(synth)),
        *(queue.get("KmsMasterKeyId") for queue in synth.resources("AWS::SQS::Queue")),
        *(secret.get("KmsKeyId") for secret in synth.resources("AWS::SecretsManager::Secret")),
        synth.one("AWS::KinesisFirehose::DeliveryStream")["DeliveryStreamEncryptionConfigurationInput"].get(
            "KeyARN"
        ),
        *(group.get("KmsKeyId") for group in synth.resources("AWS::Logs::LogGroup")),
    ]


def test_a_stage_that_says_so_encrypts_all_that_is_at_rest_with_its_own_key(prod: Synth) -> None:
    key = prod.one("AWS::KMS::Key")
    assert key["EnableKeyRotation"] is True
    assert prod.one("AWS::KMS::Alias")["AliasName"] == NAMES.key_alias
    parameter = prod.one("AWS::SSM::Parameter", Name=NAMES.key_parameter)
    ours = parameter["Value"]
    assert ours.startswith("<Key")
    [by_name] = set(_uses(prod)) - {ours}  # how the other stacks say it: by the parameter
    assert by_name.startswith("<SsmParameterValueatlasprodkeyarn")
    assert len(_uses(prod)) == 3 + 2 + 4 + 1 + 1 + len(NAMES.log_groups)
    lake = prod.bucket()["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert lake[0]["BucketKeyEnabled"] is True
    assert _algorithm(prod.bucket("access-logs")) == {"SSEAlgorithm": "AES256"}  # S3 can deliver to no other


@pytest.mark.parametrize("stage", ["local", "dev"])
def test_other_stages_encrypt_with_keys_of_aws(stages: dict[str, Synth], stage: str) -> None:
    synth = stages[stage]
    assert set(_uses(synth)) == {None}
    assert synth.resources("AWS::KMS::Key") == []
    assert _algorithm(synth.bucket()) == {"SSEAlgorithm": "AES256"}
    assert {queue["SqsManagedSseEnabled"] for queue in synth.resources("AWS::SQS::Queue")} == {True}
    assert _results(synth) == [{"EncryptionOption": "SSE_S3"}] * 2


def test_the_key_serves_the_services_that_need_it_for_this_stages_things_only(prod: Synth) -> None:
    """What roles may do with it is theirs to say: tests/infra/test_role_needs.py."""
    root, *services = prod.one("AWS::KMS::Key")["KeyPolicy"]["Statement"]
    assert root["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}
    known = {each["Principal"]["Service"]: (set(each["Action"]), each["Condition"]) for each in services}
    ours = {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    groups = [
        f"arn:aws:logs:{_HERE}:log-group:{group['LogGroupName']}" for group in prod.resources("AWS::Logs::LogGroup")
    ]
    queues = [f"arn:aws:sqs:{_HERE}:{name}" for name in (NAMES.ingest_queue, NAMES.ingest_dead_letter_queue)]
    used = known["logs.eu-central-1.amazonaws.com"][1]["ArnEquals"]["kms:EncryptionContext:aws:logs:arn"]
    assert sorted(used) == sorted(groups)
    assert known["events.amazonaws.com"] == (
        {"kms:GenerateDataKey", "kms:Decrypt"},
        {"ArnEquals": {"kms:EncryptionContext:aws:sqs:arn": queues}},
    )
    assert known["cloudwatch.amazonaws.com"] == ({"kms:GenerateDataKey*", "kms:Decrypt"}, ours)
    assert known["budgets.amazonaws.com"] == ({"kms:GenerateDataKey*", "kms:Decrypt"}, ours)
    assert len(services) == len(known) == 4


def test_nobody_writes_to_the_lake_with_another_key(prod: Synth) -> None:
    header = "s3:x-amz-server-side-encryption"
    [policy] = [policy for policy in _policies(prod, "AWS::S3::BucketPolicy") if len(policy) == 4]
    refused = [each["Condition"] for each in policy if each["Action"] == "s3:PutObject"]
    assert {each["Effect"] for each in policy} == {"Deny"}
    assert refused[0] == {"Null": {header: "false"}, "StringNotEquals": {header: "aws:kms"}}
    own = prod.one("AWS::SSM::Parameter")["Value"]
    key = f"{header}-aws-kms-key-id"
    assert refused[1] == {"Null": {key: "false"}, "StringNotEquals": {key: own}}


@pytest.mark.parametrize("stage", STAGES)
def test_buckets_are_private_and_all_that_takes_data_speaks_tls_only(stages: dict[str, Synth], stage: str) -> None:
    synth = stages[stage]
    for bucket in synth.resources("AWS::S3::Bucket"):
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert synth.bucket()["VersioningConfiguration"] == {"Status": "Enabled"}
    taking = {"AWS::S3::BucketPolicy": 2, "AWS::SQS::QueuePolicy": 4, "AWS::SNS::TopicPolicy": 1}
    for kind, count in taking.items():
        policies = _policies(synth, kind)
        assert len(policies) == count
        for policy in policies:
            denied = [each["Condition"] for each in policy if each["Effect"] == "Deny"]
            assert {"Bool": {"aws:SecureTransport": "false"}} in denied


@pytest.mark.parametrize("stage", STAGES)
def test_every_call_of_the_lake_is_logged_to_a_bucket_that_takes_it_and_forgets(
    stages: dict[str, Synth], stage: str
) -> None:
    synth = stages[stage]
    lake, logs = synth.bucket(), synth.bucket("access-logs")
    told = lake["LoggingConfiguration"]
    assert told["DestinationBucketName"].startswith("<AccessLogs")
    [rule] = logs["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == synth.config.retention.access_logs_days
    [taken] = [
        each
        for policy in _policies(synth, "AWS::S3::BucketPolicy")
        for each in policy
        if each["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    ]
    assert taken["Action"] == "s3:PutObject"
    assert taken["Resource"].endswith(f"/{told['LogFilePrefix']}*")
    assert taken["Condition"] == {
        "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{lake['BucketName']}"},
        "StringEquals": {"aws:SourceAccount": "111122223333"},
    }


@pytest.mark.parametrize("stage", STAGES)
def test_alarms_and_the_budget_may_tell_people_although_the_topic_has_a_policy_of_its_own(
    stages: dict[str, Synth], stage: str
) -> None:
    [policy] = _policies(stages[stage], "AWS::SNS::TopicPolicy")
    sources = {each["Principal"]["Service"]: each["Condition"] for each in policy if each["Effect"] == "Allow"}
    account = {"aws:SourceAccount": "111122223333"}
    assert sources == {
        "cloudwatch.amazonaws.com": {
            "StringEquals": account,
            "ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{_HERE}:alarm:{Names(stage).alarm('*')}"},
        },
        "budgets.amazonaws.com": {
            "StringEquals": account,
            "ArnLike": {"aws:SourceArn": "arn:aws:budgets::111122223333:*"},
        },
    }


@pytest.mark.parametrize(("stage", "kept"), [("prod", True), ("dev", False)])
def test_what_holds_data_is_protected_and_kept_or_goes_with_the_stack_as_the_stage_says(
    stages: dict[str, Synth], tmp_path: Path, stage: str, kept: bool
) -> None:
    synth = stages[stage]
    manifest = json.loads((synth.folder / "manifest.json").read_text())["artifacts"].values()
    stacks = [each["properties"] for each in manifest if each["type"] == "aws:cloudformation:stack"]
    assert len(stacks) == len(synth.templates)
    assert {bool(stack.get("terminationProtection")) for stack in stacks} == {kept}
    assert synth.one("AWS::DynamoDB::Table")["DeletionProtectionEnabled"] is kept

    context = read_context()
    context["stages"][stage]["encryption"] = "customer"
    app = App(context=context, outdir=str(tmp_path))
    data = DataStack(app, StageConfig.load(stage, context))
    app.synth()
    resources = plain(json.loads((tmp_path / f"{data.stack_name}.template.json").read_text()))["Resources"].values()
    holding = ("AWS::KMS::Key", "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::DynamoDB::Table")
    held = [each for each in resources if each["Type"] in holding]
    assert len(held) == 6
    assert {each["DeletionPolicy"] for each in held} == {"Retain" if kept else "Delete"}
    emptied = [each for each in resources if each["Type"] == "Custom::S3AutoDeleteObjects"]
    assert len(emptied) == (0 if kept else 2)
