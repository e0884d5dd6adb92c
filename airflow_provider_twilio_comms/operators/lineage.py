"""What a send tells others: counts in the events of its assets, and OpenLineage's inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._tasks.operator import TwilioOperator
from airflow_provider_twilio_comms.exceptions import scrub

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["TwilioAnnouncing"]


class TwilioAnnouncing(TwilioOperator):
    """Base of the operators that send to a list. Only counts are told, never a number or a text."""

    _counts: Mapping[str, Any] = MappingProxyType({})

    def announce(self, context: Context, result: Mapping[str, Any]) -> None:
        """Put the counts into the events of the task's outlets, and keep them for lineage, which is
        asked for in the same process."""
        from airflow_provider_twilio_comms._tasks.openlineage import announced

        counts = {name: result[name] for name in ("status", "recipients", "rejected", "stats")}
        counts["operations"] = len(result["operation_ids"])
        self._counts = counts
        announced(context, self.outlets, counts)

    def lineage_inputs(self) -> Iterable[tuple[str, str]]:
        """Where recipients come from, as OpenLineage names it: a file, or nothing that has a name."""
        from airflow_provider_twilio_comms._tasks.openlineage import dataset_of_file

        recipients = self.shown("recipients")
        return [dataset_of_file(recipients)] if isinstance(recipients, str) else ()

    def lineage_sql(self) -> str | None:
        """The statement that reads the recipients."""
        return None

    def get_openlineage_facets_on_start(self) -> Any:
        """The inputs and the output. None where the OpenLineage provider is not installed."""
        return self._lineage({})

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """The same with the counts."""
        return self._lineage(self._counts)

    def _lineage(self, counts: Mapping[str, Any]) -> Any:
        from airflow_provider_twilio_comms._tasks.openlineage import lineage

        sent = 0 if counts.get("status") == "DRY_RUN" else counts.get("recipients")
        output = (f"twilio://{self.hook.config.account_sid}", "messages")
        found = lineage(self.lineage_inputs(), [output], sent)
        if found is not None and (sql := self.lineage_sql()):
            from airflow.providers.common.compat.openlineage.facet import SQLJobFacet

            found.job_facets["sql"] = SQLJobFacet(query=scrub(sql))
        return found
