"""API Gateway, SQS, Firehose, Secrets Manager and Athena as the events API needs them, seen through their APIs."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import Any

import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from atlas_cli.local.emulator import Emulator
from atlas_cli.local.firehose import FAULTS
from tests.local.made import Made, allow, wait, zipped
from tests.local.test_local_cloud import rows

AUTHORIZER = """
    def handler(event, context):
        client = {k.lower(): v for k, v in event["headers"].items()}.get("authorization", "")
        arn = event["methodArn"]
        statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": arn}
        known = {"client_id": client, "seen": event["requestContext"]["extendedRequestId"]}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        key = client + "-" + context.function_name + "-0123456789"
        return {"principalId": client, "policyDocument": policy, "context": known, "usageIdentifierKey": key}
"""
REQUEST = """#set($context.requestOverride.path.kept = $input.body.length())##
#set($context.responseOverride.header.X-Kept = "yes")##
Action=SendMessage&MessageBody=$util.urlEncode($input.body)##
&MessageAttribute.1.Name=told&MessageAttribute.1.Value.DataType=String##
&MessageAttribute.1.Value.StringValue=##
$util.urlEncode("$context.authorizer.client_id|$context.requestId|$context.requestTimeEpoch|$context.authorizer.seen")##
"""
RESPONSE = """{"id":"$context.extendedRequestId","length":$context.requestOverride.path.kept,##
"sent":"$input.path('$.SendMessageResponse.SendMessageResult.MessageId')"}"""
REFUSAL = """#if($input.path('$.Error.Message').contains("shorter"))##
#set($context.responseOverride.status = 413)##
#end##
{"code":"$input.path('$.Error.Code')"}"""
MODEL = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "type": "object",
    "required": ["action"],
    "properties": {"action": {"type": "string", "pattern": "^[a-z]+$"}, "more": {"type": "string"}},
}
ROTATION = """
    import boto3
    def handler(event, context):
        secrets = boto3.client("secretsmanager")
        this = {"SecretId": event["SecretId"]}
        token = event["ClientRequestToken"]
        if event["Step"] == "createSecret":
            try:
                secrets.get_secret_value(**this, VersionId=token, VersionStage="AWSPENDING")
            except secrets.exceptions.ResourceNotFoundException:
                for value in ("new", "new", "newer"):
                    try:
                        secrets.put_secret_value(
                            **this, ClientRequestToken=token, SecretString=value, VersionStages=["AWSPENDING"]
                        )
                    except secrets.exceptions.ResourceExistsException:
                        assert value == "newer"
        if event["Step"] == "testSecret":
            stages = secrets.describe_secret(**this)["VersionIdsToStages"]
            assert stages[token] == ["AWSPENDING"] and len(stages) == 2, stages
        if event["Step"] == "finishSecret":
            stages = secrets.describe_secret(**this)["VersionIdsToStages"]
            [old] = [version for version, labels in stages.items() if "AWSCURRENT" in labels]
            secrets.update_secret_version_stage(
                **this, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=old
            )
"""
SERVICES = "arn:aws:apigateway:us-east-1"
HOUR = "events/year=2026/month=11/day=20/hour=18/"


def function(made: Made, code: str, *statements: dict[str, Any]) -> str:
    made.session.client("lambda").create_function(
        FunctionName=made.name,
        Runtime="python3.11",
        Handler="index.handler",
        Role=made.role("lambda.amazonaws.com", allow("logs:*", "*"), *statements),
        Code={"ZipFile": zipped(index=code)},
    )
    return f"arn:aws:lambda:us-east-1:000000000000:function:{made.name}"


def let_secrets_manager_call(made: Made) -> None:
    service = "secretsmanager.amazonaws.com"
    made.session.client("lambda").add_permission(
        FunctionName=made.name, StatementId="s", Action="lambda:InvokeFunction", Principal=service
    )


class Api:
    """A REST API that sends what its model lets through to a queue, for clients with a key."""

    def __init__(self, cloud: Emulator, made: Made, *, sender: str | None = None) -> None:
        self.made = made
        self.queue, arn = made.queue()
        sqs: Any = made.session.client("sqs")
        sqs.set_queue_attributes(QueueUrl=self.queue, Attributes={"MaximumMessageSize": "2048"})
        gateway: Any = made.session.client("apigateway")
        self.gateway = gateway
        self.id = gateway.create_rest_api(name=made.name, apiKeySource="AUTHORIZER")["id"]
        api = {"restApiId": self.id}
        root = gateway.get_resources(**api)["items"][0]["id"]
        resource = gateway.create_resource(**api, parentId=root, pathPart="events")["id"]
        authorizer = gateway.create_authorizer(
            **api,
            name="a",
            type="REQUEST",
            authorizerUri=f"{SERVICES}:lambda:path/2015-03-31/functions/{function(made, AUTHORIZER)}/invocations",
            authorizerResultTtlInSeconds=0,
        )["id"]
        gateway.create_model(**api, name="Event", contentType="application/json", schema=json.dumps(MODEL))
        validator = gateway.create_request_validator(**api, name="v", validateRequestBody=True)["id"]
        method = {**api, "resourceId": resource, "httpMethod": "POST"}
        gateway.put_method(
            **method,
            authorizationType="CUSTOM",
            authorizerId=authorizer,
            apiKeyRequired=True,
            requestValidatorId=validator,
            requestModels={"application/json": "Event"},
        )
        gateway.put_integration(
            **method,
            type="AWS",
            integrationHttpMethod="POST",
            uri=f"{SERVICES}:sqs:path/000000000000/{made.name}",
            credentials=sender or made.role("apigateway.amazonaws.com", allow("sqs:SendMessage", arn)),
            requestParameters={"integration.request.header.Content-Type": "'application/x-www-form-urlencoded'"},
            requestTemplates={"application/json": REQUEST},
            passthroughBehavior="NEVER",
        )
        answers = {"202": (RESPONSE, ""), "400": (REFUSAL, "400"), "503": ("{}", "[345]\\d\\d")}
        for status, (template, pattern) in answers.items():
            gateway.put_method_response(**method, statusCode=status)
            gateway.put_integration_response(
                **method,
                statusCode=status,
                selectionPattern=pattern,
                responseTemplates={"application/json": template},
            )
        told = '{"why": "$context.error.validationErrorString", "id": "$context.extendedRequestId"}'
        gateway.put_gateway_response(
            **api, responseType="BAD_REQUEST_BODY", responseTemplates={"application/json": told}
        )
        gateway.create_deployment(**api, stageName="v1")
        for clients, throttle in ((("anna", "ben"), {"rateLimit": 0.001, "burstLimit": 3}), (("carl",), {})):
            stages = [{"apiId": self.id, "stage": "v1"}]
            plan = gateway.create_usage_plan(name=made.name, apiStages=stages, throttle=throttle)["id"]
            for client in clients:
                value = f"{client}-{made.name}-0123456789"
                key = gateway.create_api_key(name=f"{made.name}-{client}", value=value, enabled=True)["id"]
                gateway.create_usage_plan_key(usagePlanId=plan, keyId=key, keyType="API_KEY")
        self.url = f"{cloud.endpoint}/_aws/execute-api/{self.id}/v1/events"

    def post(self, body: str | bytes, client: str = "anna", **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return urllib3.request(
            "POST", self.url, body=body, headers={"Authorization": client, **named}, retries=False
        )


def test_a_gateway_sends_a_request_to_a_queue_by_its_templates_and_its_role(cloud: Emulator, made: Made) -> None:
    api = Api(cloud, made)
    body = '{"action":"login","more":"é & $input.body"} and more'
    answer = api.post(body, x_api_key=f"ben-{made.name}-0123456789")
    assert answer.status == 202, answer.data
    told = answer.json()
    assert answer.headers["x-kept"] == "yes"
    assert (answer.headers["x-amz-apigw-id"], told["length"]) == (told["id"], len(body))
    [message] = made.session.client("sqs").receive_message(QueueUrl=api.queue, MessageAttributeNames=["All"])[
        "Messages"
    ]
    client, request, moment, seen = message["MessageAttributes"]["told"]["StringValue"].split("|")
    assert (message["Body"], message["MessageId"]) == (body, told["sent"])
    assert (client, request, seen) == ("anna", answer.headers["x-amzn-requestid"], told["id"])
    assert abs(int(moment) / 1000 - time.time()) < 60

    assert api.post(body, client="stranger").status == 403  # none of its keys is in the plan
    assert api.post(body, client="ben", x_amzn_requestid="my own").headers["x-amzn-requestid"] == "my own"
    assert [api.post(body).status for _ in range(3)] == [202, 202, 429]
    assert api.post(body, client="ben").status == 202


REFUSED: list[tuple[str, int, str | None]] = [
    ('{"more":"x"}', 400, '[object has missing required properties (["action"])]'),
    (
        '{"action":1}',
        400,
        '[instance type (integer) does not match any allowed primitive type (allowed: ["string"])]',
    ),
    ('{"action":"a\\n"}', 400, '[ECMA 262 regex "^[a-z]+$" does not match input string "a\n"]'),
    ("{", 400, ""),
    ('{"action":"a","more":"' + "x" * 2000 + '"}', 413, None),  # with its attributes longer than 2 KiB
    ('{"action":"a","more":"\ufffe"}', 400, None),  # no character of XML
    ("{}" + " " * 11_000_000, 413, None),
]


def test_a_gateway_refuses_what_cannot_be_taken_and_says_why(cloud: Emulator, made: Made) -> None:
    api = Api(cloud, made)
    for body, status, why in REFUSED:
        answer = api.post(body.encode(), client="carl")
        assert answer.status == status, answer.data
        assert why is None or answer.json()["why"] == why
    text = {"Content_Type": "text/plain"}
    assert [api.post(body, client="carl", **text).status for body in ("{", '{"action":"a"}')] == [415, 415]
    assert made.session.client("sqs").receive_message(QueueUrl=api.queue).get("Messages", []) == []


def test_a_gateway_whose_role_may_not_send_sends_nothing(cloud: Emulator, made: Made) -> None:
    api = Api(
        cloud, made, sender=made.role("apigateway.amazonaws.com", allow("sqs:SendMessage", "arn:aws:sqs:::x"))
    )
    assert api.post('{"action":"login"}', client="carl").status == 503
    assert made.session.client("sqs").receive_message(QueueUrl=api.queue).get("Messages", []) == []


def test_a_function_gets_as_many_messages_at_once_as_it_asks_for_and_does_not_wait_for_them(made: Made) -> None:
    url, arn = made.queue()
    sqs, functions = made.session.client("sqs"), made.session.client("lambda")
    answers = made.session.client("sqs").create_queue(QueueName=f"{made.name}-sizes")["QueueUrl"]
    code = f"""
        import boto3
        def handler(event, context):
            boto3.client("sqs").send_message(QueueUrl="{answers}", MessageBody=str(len(event["Records"])))
    """
    function(made, code, allow("sqs:*", "*"))
    for first in range(0, 30, 10):
        entries: Any = [{"Id": str(n), "MessageBody": "x"} for n in range(first, first + 10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    began = time.monotonic()
    functions.create_event_source_mapping(
        EventSourceArn=arn, FunctionName=made.name, BatchSize=25, MaximumBatchingWindowInSeconds=300
    )
    sizes: list[str] = []
    while len(sizes) < 2:
        sizes += [m["Body"] for m in sqs.receive_message(QueueUrl=answers, WaitTimeSeconds=5).get("Messages", [])]
    assert sorted(sizes) == ["25", "5"]
    assert time.monotonic() - began < 60


class Stream:
    """A delivery stream that writes events as Parquet, by their hour."""

    def __init__(self, made: Made) -> None:
        self.made = made
        self.client: Any = made.session.client("firehose", config=Config(retries={"total_max_attempts": 1}))
        bucket, glue = made.bucket(), made.session.client("glue")
        glue.create_database(DatabaseInput={"Name": made.name})
        types = {
            "event_id": "string",
            "event_timestamp": "timestamp",
            "properties": "map<string,string>",
            "position": "int",
        }
        keys = ("year", "month", "day", "hour")
        projection = {f"projection.{key}.type": "integer" for key in keys}
        glue.create_table(
            DatabaseName=made.name,
            TableInput={
                "Name": "events",
                "PartitionKeys": [{"Name": key, "Type": "string"} for key in keys],
                "Parameters": {"projection.enabled": "true", **projection},
                "StorageDescriptor": {
                    "Location": f"s3://{bucket}/events/",
                    "Columns": [{"Name": name, "Type": type_} for name, type_ in types.items()],
                    "SerdeInfo": {
                        "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
                    },
                    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                },
            },
        )
        put, read = allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*"), allow("glue:GetTable", "*")
        role = made.role("firehose.amazonaws.com", put, read)
        partitions = "".join(f"{key}=!{{partitionKeyFromQuery:{key}}}/" for key in keys)
        cuts = {"year": "0:4", "month": "5:7", "day": "8:10", "hour": "11:13"}
        query = "{" + ",".join(f"{key}:.event_timestamp[{cut}]" for key, cut in cuts.items()) + "}"
        extraction: Any = {
            "Type": "MetadataExtraction",
            "Parameters": [{"ParameterName": "MetadataExtractionQuery", "ParameterValue": query}],
        }
        self.client.create_delivery_stream(
            DeliveryStreamName=made.name,
            ExtendedS3DestinationConfiguration={
                "BucketARN": f"arn:aws:s3:::{bucket}",
                "RoleARN": role,
                "Prefix": f"events/{partitions}!{{timestamp:yyyyMMdd}}-",
                "ErrorOutputPrefix": "failed/!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd}/",
                "DynamicPartitioningConfiguration": {"Enabled": True},
                "ProcessingConfiguration": {"Enabled": True, "Processors": [extraction]},
                "DataFormatConversionConfiguration": {
                    "Enabled": True,
                    "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
                    "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {"Compression": "SNAPPY"}}},
                    "SchemaConfiguration": {"DatabaseName": made.name, "TableName": "events", "RoleARN": role},
                },
            },
        )

    def put(self, *records: dict[str, Any]) -> Any:
        data = [{"Data": (json.dumps(record) + "\n").encode()} for record in records]
        return self.client.put_record_batch(DeliveryStreamName=self.made.name, Records=data)

    def keys(self, prefix: str) -> list[str]:
        found = self.made.s3.list_objects_v2(Bucket=self.made.name, Prefix=prefix).get("Contents", [])
        return [entry["Key"] for entry in found]


def event(number: int, time_: str = "2026-11-20 18:52:32.123456", **more: Any) -> dict[str, Any]:
    return {"event_id": str(number), "event_timestamp": time_, "properties": {"a": "é"}, "position": number, **more}


def test_a_delivery_stream_writes_an_object_a_partition_and_athena_sees_it_without_a_crawler(made: Made) -> None:
    stream = Stream(made)
    unfit = event(3, position="many")
    answer = stream.put(event(1), event(2), unfit, event(4, "2026-11-20 19:00:00.000000"), {"event_id": "5"})
    assert (answer["FailedPutCount"], len(answer["RequestResponses"])) == (0, 5)
    [first] = stream.keys(HOUR)
    assert first.removeprefix(HOUR)[:9] == time.strftime("%Y%m%d-", time.gmtime())
    assert first.endswith(".parquet")
    assert len(stream.keys("events/")) == 2
    query = "select event_id, event_timestamp, properties, position, hour from events where hour = '18' order by 1"
    moment = "2026-11-20 18:52:32.123"
    assert rows(made, made.name, query) == [[n, moment, "{a=é}", n, "18"] for n in ("1", "2")]
    failed = {
        key.split("/")[1]: made.s3.get_object(Bucket=made.name, Key=key)["Body"].read()
        for key in stream.keys("failed/")
    }
    document = json.loads(failed["format-conversion-failed"])
    assert json.loads(base64.b64decode(document["rawData"])) == unfit
    assert (document["ErrorCode"], document["dataCatalogTable"]["tableName"]) == (
        "DataFormatConversion.MalformedData",
        "events",
    )
    assert list(failed) == ["format-conversion-failed", "processing-failed"]


def test_a_delivery_stream_takes_no_more_than_it_may(made: Made) -> None:
    stream = Stream(made)
    long = {**event(1), "event_id": "x" * 900_000}
    for records in ([event(1)] * 501, [long] * 5, [{"event_id": "x" * 1_100_000}]):
        with pytest.raises(ClientError, match="InvalidArgumentException"):
            stream.put(*records)
    assert stream.keys("") == []


def test_calls_of_a_delivery_stream_fail_as_a_test_wants_it(cloud: Emulator, made: Made) -> None:
    stream = Stream(made)
    faults = cloud.folder / FAULTS
    told: list[Any] = []
    for fault in ({"record": 2}, {"before": 1}, {"after": 1}):
        faults.write_text(json.dumps(fault))
        try:
            told.append(
                [bool(answer.get("ErrorCode")) for answer in stream.put(event(1), event(2))["RequestResponses"]]
            )
        except ClientError as failed:
            told.append(failed.response["Error"]["Code"])
        finally:
            faults.unlink()
        told.append(len(stream.keys("events/")))
    assert told == [[False, True], 1, "ServiceUnavailableException", 1, "ServiceUnavailableException", 2]


def test_a_secret_is_rotated_by_its_function(made: Made) -> None:
    secrets: Any = made.session.client("secretsmanager")
    secret = secrets.create_secret(Name=made.name, SecretString="old")["ARN"]
    rights = ["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"]
    lambda_ = function(made, ROTATION, allow([f"secretsmanager:{right}" for right in rights], secret))
    rotation = {"SecretId": secret, "RotationLambdaARN": lambda_, "RotationRules": {"AutomaticallyAfterDays": 30}}
    with pytest.raises(ClientError, match="cannot invoke"):
        secrets.rotate_secret(**rotation)
    made.session.client("lambda").add_permission(
        FunctionName=made.name,
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )
    secrets.rotate_secret(**rotation, RotateImmediately=False)
    described = secrets.describe_secret(SecretId=secret)
    assert (described["RotationEnabled"], len(described["VersionIdsToStages"])) == (True, 1)
    token = str(uuid.uuid4())
    secrets.rotate_secret(SecretId=secret, ClientRequestToken=token)
    current = lambda: secrets.get_secret_value(SecretId=secret)["SecretString"]  # noqa: E731
    wait(current, lambda value: value == "new", 30)
    assert secrets.get_secret_value(SecretId=secret, VersionStage="AWSPREVIOUS")["SecretString"] == "old"
    assert secrets.get_secret_value(SecretId=secret)["VersionId"] == token


def test_a_rotation_that_fails_leaves_the_secret_as_it_was_and_is_tried_again(made: Made) -> None:
    secrets: Any = made.session.client("secretsmanager")
    secret = secrets.create_secret(Name=made.name, SecretString="old")["ARN"]
    lambda_ = function(made, "def handler(event, context):\n    raise ValueError", allow("logs:*", "*"))
    made.session.client("lambda").add_permission(
        FunctionName=made.name,
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )
    secrets.rotate_secret(SecretId=secret, RotationLambdaARN=lambda_)
    with pytest.raises(ClientError, match="previous rotation"):
        secrets.rotate_secret(SecretId=secret)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        secrets.get_secret_value(SecretId=secret, VersionStage="AWSPENDING")
    assert secrets.get_secret_value(SecretId=secret)["SecretString"] == "old"


def test_a_stack_makes_a_secret_of_what_it_may_have_and_knows_it_by_its_arn(made: Made) -> None:
    stacks: Any = made.session.client("cloudformation")
    made_of = {"PasswordLength": 64, "ExcludePunctuation": True, "GenerateStringKey": "key"}
    secret = {"Name": made.name, "GenerateSecretString": {**made_of, "SecretStringTemplate": '{"kid":"initial"}'}}
    lambda_ = function(made, ROTATION, allow("secretsmanager:*", "*"))
    made.session.client("lambda").add_permission(
        FunctionName=made.name,
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )
    schedule = {
        "SecretId": {"Ref": "S"},
        "RotationLambdaARN": lambda_,
        "RotationRules": {"AutomaticallyAfterDays": 30},
        "RotateImmediatelyOnUpdate": False,
    }
    resources = {
        "S": {"Type": "AWS::SecretsManager::Secret", "Properties": secret},
        "R": {"Type": "AWS::SecretsManager::RotationSchedule", "Properties": schedule},
    }
    template = json.dumps({"Resources": resources, "Outputs": {"Arn": {"Value": {"Ref": "S"}}}})
    stacks.create_stack(StackName=made.name, TemplateBody=template)
    ask = lambda: stacks.describe_stacks(StackName=made.name)["Stacks"][0]  # noqa: E731
    stack = wait(ask, lambda stack: stack["StackStatus"] != "CREATE_IN_PROGRESS", 30)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    found = made.session.client("secretsmanager").describe_secret(SecretId=made.name)
    value = made.session.client("secretsmanager").get_secret_value(SecretId=made.name)["SecretString"]
    assert (stack["Outputs"][0]["OutputValue"], found["RotationEnabled"]) == (found["ARN"], True)
    assert json.loads(value)["kid"] == "initial"
    assert (len(json.loads(value)["key"]), json.loads(value)["key"].isalnum()) == (64, True)
    stacks.delete_stack(StackName=made.name)
    names = lambda: [s["Name"] for s in made.session.client("secretsmanager").list_secrets()["SecretList"]]  # noqa: E731
    wait(names, lambda listed: made.name not in listed, 30)
