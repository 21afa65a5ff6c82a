"""An Athena workgroup whose settings nobody who queries can change."""

from __future__ import annotations

from aws_cdk import aws_athena as athena

from stacks.base import AtlasStack


def workgroup(
    stack: AtlasStack, construct_id: str, *, name: str, description: str, results: str, scan_cutoff_gb: int
) -> athena.CfnWorkGroup:
    """A workgroup that puts its results under the prefix `results` of the lake, encrypted as the lake is."""
    return athena.CfnWorkGroup(
        stack,
        construct_id,
        name=name,
        description=f"{description}; results under {results}",
        recursive_delete_option=stack.config.removal == "destroy",
        work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
            enforce_work_group_configuration=True,
            publish_cloud_watch_metrics_enabled=True,
            bytes_scanned_cutoff_per_query=scan_cutoff_gb * 10**9,
            engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                selected_engine_version="Athena engine version 3"
            ),
            result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                output_location=f"s3://{stack.arns.bucket_name}/{results}",
                encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                    encryption_option="SSE_KMS" if stack.key_arn else "SSE_S3", kms_key=stack.key_arn
                ),
            ),
        ),
    )
