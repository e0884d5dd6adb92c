"""What a send tells others: counts in the events of its assets, and OpenLineage's inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.exceptions import scrub
from airflow_provider_twilio_comms.operators.base import TwilioOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["COUNTS", "TwilioAnnouncing"]

COUNTS = "twilio_counts"  # the XCom from which lineage takes the counts


class TwilioAnnouncing(TwilioOperator):
    """Base of the operators that send to a list. Only counts are told, never a number or a text."""

    def announce(self, context: Context, result: Mapping[str, Any]) -> None:
        """Put the counts into the events of the task's outlets, and keep them for lineage."""
        from airflow_provider_twilio_comms.operators.outcomes import announced

        counts = {name: result[name] for name in ("status", "recipients", "rejected", "stats")}
        counts["operations"] = len(result["operation_ids"])
        context["ti"].xcom_push(COUNTS, counts)
        announced(context, self.outlets, counts)

    def lineage_inputs(self) -> Iterable[tuple[str, str]]:
        """Where recipients come from: OpenLineage's namespaces and names."""
        return ()

    def lineage_sql(self) -> str | None:
        """The statement that reads the recipients."""
        return None

    def get_openlineage_facets_on_start(self) -> Any:
        """The inputs and the output. None where the OpenLineage provider is not installed."""
        return self._lineage({})

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """The same with the counts."""
        map_index = getattr(task_instance, "map_index", -1)
        pulled = task_instance.xcom_pull(task_ids=self.task_id, key=COUNTS, map_indexes=map_index)
        return self._lineage(pulled if isinstance(pulled, Mapping) else {})

    def _lineage(self, counts: Mapping[str, Any]) -> Any:
        from airflow_provider_twilio_comms.operators.outcomes import lineage

        sent = 0 if counts.get("status") == "DRY_RUN" else counts.get("recipients")
        output = (f"twilio://{self.hook.config.account_sid}", "messages")
        found = lineage(self.lineage_inputs(), [output], sent)
        if found is not None and (sql := self.lineage_sql()):
            from airflow.providers.common.compat.openlineage.facet import SQLJobFacet

            found.job_facets["sql"] = SQLJobFacet(query=scrub(sql))
        return found
