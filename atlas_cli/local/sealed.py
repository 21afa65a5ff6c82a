"""The sealed environment: whatever runs against the local cloud can reach nothing else.

The user's profiles, credentials, endpoints, proxies and certificate bundles stay outside, so that a local
run can never touch a real account, and so that a machine's configuration cannot break it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

REGION = "us-east-1"
ACCOUNT = "000000000000"  # no real account has this number
# Administrator of the local cloud. IAM is enforced there, and these are its root's keys.
ACCESS_KEY = "atlas-local"
SECRET_KEY = "atlas-local"  # noqa: S105 (opens nothing but the local cloud)

_FOREIGN_PREFIXES = ("AWS_", "CDK_", "BOTO_", "MINISTACK_", "LOCALSTACK_", "LAMBDA_")
_FOREIGN = {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"}


def scrubbed(base: Mapping[str, str]) -> dict[str, str]:
    """`base` without anything that points an AWS client somewhere."""
    return {k: v for k, v in base.items() if not k.startswith(_FOREIGN_PREFIXES) and k.lower() not in _FOREIGN}


def variables(port: int) -> dict[str, str]:
    """The AWS_* variables that bind a process to the local cloud on `port`, as its administrator."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        **placement(),
    }


def placement() -> dict[str, str]:
    """Where an AWS client is, and that it looks for no configuration of the user's."""
    return {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "*",  # macOS would take proxies from the system's settings otherwise
    }


def session(
    endpoint: str,
    access_key: str = ACCESS_KEY,
    secret_key: str = SECRET_KEY,
    token: str | None = None,
) -> boto3.Session:
    """A boto3 session whose clients call `endpoint` only, whatever this process's environment says.

    The keys are the administrator's, unless a role session's are given.
    """
    core = botocore.session.Session()
    # The store's overrides win even where they say None, which the session's own setter does not.
    store = core.get_component("config_store")
    for name in ("profile", "ca_bundle"):
        store.set_config_variable(name, None)
    for name in ("config_file", "credentials_file"):
        store.set_config_variable(name, os.devnull)
    store.set_config_variable("endpoint_url", endpoint)
    core.set_default_client_config(Config(proxies={}, retries={"mode": "standard", "max_attempts": 3}))
    return boto3.Session(access_key, secret_key, token, region_name=REGION, botocore_session=core)


def role_session(endpoint: str, role_arn: str, service: str, name: str) -> boto3.Session:
    """A session of a role, as `service` (glue.amazonaws.com, say) has it that assumes the role.

    PermissionError if the role does not trust the service: the emulator's administrator, who assumes it here in
    the service's place, may assume any role.
    """
    administrator = session(endpoint)
    role = administrator.client("iam").get_role(RoleName=role_arn.rsplit("/", 1)[-1])["Role"]
    trust: Any = role["AssumeRolePolicyDocument"]
    if not any(service in _services(statement) for statement in trust["Statement"]):
        raise PermissionError(f"{role_arn} does not trust {service}")
    answer = administrator.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=name[:64])
    keys = answer["Credentials"]
    return session(endpoint, keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def _services(statement: dict[str, Any]) -> list[str]:
    principal = statement.get("Principal", {})
    if statement["Effect"] != "Allow" or not isinstance(principal, dict):
        return []
    named = principal.get("Service", [])
    return [named] if isinstance(named, str) else named
