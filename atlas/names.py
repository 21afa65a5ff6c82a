"""What each deployed thing is called. Stacks create these names; the CLI and the docs find things by them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """The names of one stage, e.g. `Names("dev").ledger_table == "atlas-ledger-dev"`."""

    stage: str

    def _(self, name: str) -> str:
        return f"atlas-{name}-{self.stage}"

    def bucket(self, account: str, region: str) -> str:
        """The lake's bucket; bucket names are global, hence account and region."""
        return self._("lake") + f"-{account}-{region}"

    def access_logs_bucket(self, account: str, region: str) -> str:
        """Where S3 tells who called the lake's bucket."""
        return self._("access-logs") + f"-{account}-{region}"

    @property
    def metrics_namespace(self) -> str:
        """What no other stage of the account counts into."""
        return f"Atlas/{self.stage}"

    # stores
    @property
    def ledger_table(self) -> str:
        return self._("ledger")

    @property
    def topic(self) -> str:
        return self._("notifications")

    @property
    def key_alias(self) -> str:
        return f"alias/atlas-{self.stage}"

    @property
    def key_parameter(self) -> str:
        """The Systems Manager parameter with the key's ARN."""
        return f"/atlas/{self.stage}/key-arn"

    # ingestion
    @property
    def ingest_function(self) -> str:
        return self._("ingest")

    @property
    def ingest_queue(self) -> str:
        return self._("ingest")

    @property
    def ingest_dead_letter_queue(self) -> str:
        return self._("ingest-dlq")

    # jobs
    @property
    def normalize_job(self) -> str:
        return self._("normalize")

    @property
    def aggregate_job(self) -> str:
        return self._("aggregate")

    @property
    def day_function(self) -> str:
        return self._("day")

    @property
    def silver_crawler(self) -> str:
        return self._("silver")

    @property
    def gold_crawler(self) -> str:
        return self._("gold")

    # orchestration
    @property
    def state_machine(self) -> str:
        return self._("daily")

    @property
    def daily_schedule(self) -> str:
        return self._("daily")

    @property
    def sweep_schedule(self) -> str:
        return self._("sweep")

    @property
    def workgroup(self) -> str:
        return self._("queries")

    @property
    def budget(self) -> str:
        return self._("budget")

    # events
    @property
    def events_api(self) -> str:
        return self._("events")

    @property
    def events_queue(self) -> str:
        return self._("events")

    @property
    def events_dead_letter_queue(self) -> str:
        return self._("events-dlq")

    @property
    def delivery_stream(self) -> str:
        return self._("events")

    @property
    def usage_plan(self) -> str:
        return self._("events")

    @property
    def token_function(self) -> str:
        return self._("token")

    @property
    def authorizer_function(self) -> str:
        return self._("authorizer")

    @property
    def forwarder_function(self) -> str:
        return self._("forwarder")

    @property
    def rotation_function(self) -> str:
        return self._("rotation")

    @property
    def signing_key(self) -> str:
        """The secret that tokens are signed with."""
        return f"atlas/{self.stage}/signing-key"

    @property
    def client_secrets(self) -> str:
        """How the names of all clients' secrets begin."""
        return f"atlas/{self.stage}/clients/"

    def client_secret(self, client_id: str) -> str:
        """One client's secret."""
        return self.client_secrets + client_id

    def client_key(self, client_id: str) -> str:
        """The name of the API key by which the usage plan knows a client; access.usage_key makes its value."""
        return f"atlas-client-{client_id}-{self.stage}"

    # queries
    @property
    def query_api(self) -> str:
        return self._("queries")

    @property
    def query_function(self) -> str:
        return self._("query")

    @property
    def query_authorizer_function(self) -> str:
        return self._("query-authorizer")

    @property
    def api_workgroup(self) -> str:
        """The query API's own: whoever may see its queries' results sees no analyst's."""
        return self._("api")

    # monitoring
    def alarm(self, alarm_id: str) -> str:
        """One of `metrics.ALARMS`."""
        return self._(alarm_id)

    @property
    def dashboard(self) -> str:
        return f"atlas-{self.stage}"

    # log groups
    @property
    def ingest_logs(self) -> str:
        return f"/aws/lambda/{self.ingest_function}"

    @property
    def day_logs(self) -> str:
        return f"/aws/lambda/{self.day_function}"

    @property
    def job_logs(self) -> str:
        """What Glue's own names begin with."""
        return f"/atlas/{self.stage}/jobs"

    @property
    def job_error_logs(self) -> str:
        return f"{self.job_logs}/error"

    @property
    def job_output_logs(self) -> str:
        return f"{self.job_logs}/output"

    @property
    def state_machine_logs(self) -> str:
        """The prefix that AWS recommends: groups under it need no room in the resource policy."""
        return f"/aws/vendedlogs/states/{self.state_machine}"

    @property
    def emptying_logs(self) -> str:
        """Of the CDK's function that empties buckets, where they go with their stack."""
        return f"/atlas/{self.stage}/emptying"

    @property
    def token_logs(self) -> str:
        return f"/aws/lambda/{self.token_function}"

    @property
    def authorizer_logs(self) -> str:
        return f"/aws/lambda/{self.authorizer_function}"

    @property
    def forwarder_logs(self) -> str:
        return f"/aws/lambda/{self.forwarder_function}"

    @property
    def rotation_logs(self) -> str:
        return f"/aws/lambda/{self.rotation_function}"

    @property
    def events_api_logs(self) -> str:
        """A line a request of the events API."""
        return f"/atlas/{self.stage}/events-api"

    @property
    def delivery_logs(self) -> str:
        """What the delivery stream says of its errors."""
        return f"/aws/kinesisfirehose/{self.delivery_stream}"

    @property
    def query_logs(self) -> str:
        return f"/aws/lambda/{self.query_function}"

    @property
    def query_authorizer_logs(self) -> str:
        return f"/aws/lambda/{self.query_authorizer_function}"

    @property
    def query_api_logs(self) -> str:
        """A line a request of the query API; for the prefix, see `state_machine_logs`."""
        return f"/aws/vendedlogs/apis/{self.query_api}"

    @property
    def log_groups(self) -> tuple[str, ...]:
        return (
            self.ingest_logs,
            self.day_logs,
            self.job_error_logs,
            self.job_output_logs,
            self.state_machine_logs,
            self.token_logs,
            self.authorizer_logs,
            self.forwarder_logs,
            self.rotation_logs,
            self.events_api_logs,
            self.delivery_logs,
            self.query_logs,
            self.query_authorizer_logs,
            self.query_api_logs,
        )

    # roles: one a service, none shared
    @property
    def ingest_role(self) -> str:
        return self._("lambda-ingestion-role")

    @property
    def glue_role(self) -> str:
        return self._("glue-etl-role")

    @property
    def day_role(self) -> str:
        return self._("lambda-day-role")

    @property
    def crawler_role(self) -> str:
        return self._("glue-crawler-role")

    @property
    def state_machine_role(self) -> str:
        return self._("step-functions-role")

    @property
    def scheduler_role(self) -> str:
        return self._("eventbridge-role")

    @property
    def token_role(self) -> str:
        return self._("lambda-token-role")

    @property
    def authorizer_role(self) -> str:
        return self._("lambda-authorizer-role")

    @property
    def forwarder_role(self) -> str:
        return self._("lambda-forwarder-role")

    @property
    def rotation_role(self) -> str:
        return self._("lambda-rotation-role")

    @property
    def events_api_role(self) -> str:
        return self._("api-gateway-role")

    @property
    def delivery_role(self) -> str:
        return self._("firehose-role")

    @property
    def query_role(self) -> str:
        return self._("lambda-query-role")

    @property
    def query_authorizer_role(self) -> str:
        return self._("lambda-query-authorizer-role")
