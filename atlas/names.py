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
