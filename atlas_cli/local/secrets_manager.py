"""Secrets Manager: rotation by a function, and versions as AWS keeps them.

ministack 1.5.33 rotates by a copy of the current value, and calls nobody. Here RotateSecret has the function do its
four steps, in the background, as on AWS. Nothing is rotated on a schedule, and a rotation that is only registered
(RotateImmediately=false) is not tried out.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""

from __future__ import annotations

import contextvars
import json
import secrets
import string
import threading
import time
from typing import Any

from ministack.core.responses import error_response_json, json_response, new_uuid
from ministack.services import lambda_svc
from ministack.services import secretsmanager as service
from ministack.services.cloudformation import provisioners

_STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
_PENDING, _CURRENT = "AWSPENDING", "AWSCURRENT"
_SECRET = "AWS::SecretsManager::Secret"  # noqa: S105 (a type of resource)

Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Close the gaps."""
    service._rotate_secret = _rotate
    _versions_without_a_value()
    _versions_that_are_there()
    _secrets_of_stacks()
    provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::RotationSchedule"] = {
        "create": _schedule,
        "update": lambda _id, _old, new, stack: _schedule("", new, stack),
        "delete": _unschedule,
    }


def _rotate(data: dict[str, Any]) -> Any:
    _, secret = service._resolve(data.get("SecretId"))
    if not secret or secret.get("DeletedDate"):
        return _refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    function = data.get("RotationLambdaARN") or secret.get("RotationLambdaARN")
    if not function:
        return _refused(
            "InvalidRequestException", "No Lambda rotation function ARN is associated with this secret."
        )
    refusal = _not_callable(function)
    if refusal:
        return refusal
    secret.update(RotationLambdaARN=function, RotationEnabled=True)
    secret["RotationRules"] = data.get("RotationRules") or secret.get("RotationRules")
    token = data.get("ClientRequestToken") or new_uuid()
    if data.get("RotateImmediately", True):
        pending, version = service._find_stage_version(secret, _PENDING)
        if version and _CURRENT not in version["Stages"]:
            _in_background(secret, function, pending)
            return _refused(
                "InvalidRequestException",
                "A previous rotation isn't complete. That rotation will be reattempted.",
            )
        service._remove_stage_everywhere(secret, _PENDING)
        nothing = {"SecretString": None, "SecretBinary": None}
        secret["Versions"][token] = {**nothing, "CreatedDate": int(time.time()), "Stages": [_PENDING]}
        _in_background(secret, function, token)
    return json_response({"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": token})


def _in_background(secret: dict[str, Any], function: str, token: str) -> None:
    # The account of the request lives in a context variable, which a thread does not inherit.
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_steps, secret, function, token), daemon=True).start()


def _steps(secret: dict[str, Any], function: str, token: str) -> None:
    """A step that fails ends the rotation; the version stays pending, until somebody asks again."""
    data, config, _ = lambda_svc._get_func_record_for_ref_in_scope(function)
    record = lambda_svc._execution_record_for_config(data, config)
    for step in _STEPS:
        event = {"Step": step, "SecretId": secret["ARN"], "ClientRequestToken": token}
        result = lambda_svc._execute_function_with_config_scope(record, event)
        if result.get("error"):
            service.logger.warning("%s of %s failed: %s", step, secret["Name"], result.get("body"))
            return
    secret["LastRotatedDate"] = int(time.time())


def _not_callable(function: str) -> Answer | None:
    """On AWS the function has to be there, and to let Secrets Manager call it."""
    data, config, _ = lambda_svc._get_func_record_for_ref_in_scope(function)
    if data is None or config is None:
        return _refused("ResourceNotFoundException", "Secrets Manager can't find the Lambda function.")
    callers = [statement.get("Principal") for statement in data["policy"]["Statement"]]
    if not any("secretsmanager.amazonaws.com" in json.dumps(caller) for caller in callers):
        return _refused(
            "AccessDeniedException",
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants "
            "access to the principal secretsmanager.amazonaws.com.",
        )
    return None


def _versions_without_a_value() -> None:
    """A version that a rotation has begun and given no value yet cannot be read on AWS."""
    get = service._get_secret_value

    def get_secret_value(data: dict[str, Any]) -> Any:
        answer = get(data)
        if answer[0] != 200:
            return answer
        found = json.loads(answer[2])
        if not {"SecretString", "SecretBinary"} & found.keys():
            return _refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret value.")
        if data.get("VersionId") and data.get("VersionStage", _CURRENT) not in (_CURRENT, *found["VersionStages"]):
            return _refused(
                "InvalidRequestException",
                "You provided a VersionStage that is not associated to the provided VersionId.",
            )
        return answer

    service._get_secret_value = get_secret_value


def _versions_that_are_there() -> None:
    """On AWS a version's value is put once, and a label is on one version; ministack lets both be twice.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
    """
    put = service._put_secret_value

    def put_secret_value(data: dict[str, Any]) -> Any:
        _, secret = service._resolve(data.get("SecretId"))
        token = data.setdefault("ClientRequestToken", new_uuid())
        there = (secret or {}).get("Versions", {}).get(token)
        kinds = ("SecretString", "SecretBinary")
        if there and any(there.get(kind) is not None for kind in kinds):
            if any(there.get(kind) != data.get(kind) for kind in kinds):
                return _refused("ResourceExistsException", f"You can't modify the value of version {token}.")
            told = {"VersionId": token, "VersionStages": list(there["Stages"])}
            return json_response({"ARN": secret["ARN"], "Name": secret["Name"], **told})
        answer = put(data)
        if answer[0] == 200:
            for stage in data.get("VersionStages") or ():
                service._remove_stage_everywhere(secret, stage, except_version_id=token)
        return answer

    service._put_secret_value = put_secret_value


def _secrets_of_stacks() -> None:
    """On AWS `Ref` of a secret is its ARN, in ministack its name; and AWS makes passwords of what they may have."""
    handlers = provisioners._RESOURCE_HANDLERS[_SECRET]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def arn_of(made: tuple[str, dict[str, str]]) -> tuple[str, dict[str, str]]:
        return made[1]["Id"], made[1]

    def key_of(physical_id: str) -> str:
        return service._resolve(physical_id)[0] or physical_id

    def secret_string(properties: dict[str, Any]) -> str:
        made = properties.get("GenerateSecretString")
        if not made:
            return str(properties.get("SecretString", ""))
        letters = string.ascii_letters + string.digits
        letters += "" if made.get("ExcludePunctuation") else string.punctuation
        letters = "".join(sorted(set(letters) - set(made.get("ExcludeCharacters", ""))))
        password = "".join(secrets.choice(letters) for _ in range(int(made.get("PasswordLength", 32))))
        template = made.get("SecretStringTemplate")
        return json.dumps({**json.loads(template), made["GenerateStringKey"]: password}) if template else password

    provisioners._sm_secret_string = secret_string
    provisioners._RESOURCE_HANDLERS[_SECRET] = {
        **handlers,
        "create": lambda *made: arn_of(create(*made)),
        "update": lambda physical_id, *more: arn_of(update(key_of(physical_id), *more)),
        "delete": lambda physical_id, *more: delete(key_of(physical_id), *more),
    }


def _schedule(_logical_id: str, properties: dict[str, Any], _stack: str) -> tuple[str, dict[str, str]]:
    """AWS::SecretsManager::RotationSchedule, which ministack lacks."""
    status, _, body = _rotate(
        {
            "SecretId": properties["SecretId"],
            "RotationLambdaARN": properties.get("RotationLambdaARN"),
            "RotationRules": properties.get("RotationRules"),
            "RotateImmediately": str(properties.get("RotateImmediatelyOnUpdate", True)).lower() == "true",
        }
    )
    if status != 200:
        raise ValueError(f"AWS::SecretsManager::RotationSchedule: {body!r}")
    return properties["SecretId"], {"Id": properties["SecretId"]}


def _unschedule(physical_id: str, _properties: dict[str, Any]) -> None:
    _, secret = service._resolve(physical_id)
    if secret:
        secret.update(RotationEnabled=False)


def _refused(code: str, message: str) -> Answer:
    answer: Answer = error_response_json(code, message, 400)
    return answer
