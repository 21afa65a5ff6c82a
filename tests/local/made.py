"""What tests make in an emulator, and how they wait for what it does."""

from __future__ import annotations

import io
import json
import textwrap
import time
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import boto3

from atlas_cli.local.emulator import Emulator


class Made:
    """What the tests make in the emulator, under names that no other test uses."""

    def __init__(self, cloud: Emulator) -> None:
        self.session: boto3.Session = cloud.session()
        self.name = f"t{uuid.uuid4().hex[:10]}"
        self.s3 = self.session.client("s3")

    def role(self, service: str, *statements: dict[str, Any]) -> str:
        iam = self.session.client("iam")
        name = f"{self.name}-{uuid.uuid4().hex[:6]}"
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(*statements))
        return made["Role"]["Arn"]

    def bucket(self) -> str:
        self.s3.create_bucket(Bucket=self.name)
        return self.name

    def queue(self) -> tuple[str, str]:
        sqs = self.session.client("sqs")
        url = sqs.create_queue(QueueName=self.name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy({**allow, "Resource": arn})})
        return url, arn

    def execute(self, definition: dict[str, Any]) -> dict[str, Any]:
        sfn = self.session.client("stepfunctions")
        role = self.role("states.amazonaws.com", allow("*", "*"))
        text = json.dumps({"QueryLanguage": "JSONata", **definition})
        name = f"{self.name}-{uuid.uuid4().hex[:6]}"
        machine = sfn.create_state_machine(name=name, definition=text, roleArn=role)["stateMachineArn"]
        run = sfn.start_execution(stateMachineArn=machine)["executionArn"]
        ask = lambda: sfn.describe_execution(executionArn=run)  # noqa: E731
        ended: dict[str, Any] = wait(ask, lambda d: d["status"] != "RUNNING", 90)
        return ended


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: str | list[str], *resources: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": list(resources)}


def wait(ask: Callable[[], Any], done: Callable[[Any], bool], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not done(answer := ask()):
        assert time.monotonic() < deadline, f"still {answer}"
        time.sleep(0.1)
    return answer


def zipped(**files: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.py", textwrap.dedent(text))
    return out.getvalue()
