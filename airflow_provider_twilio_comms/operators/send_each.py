"""One send a file, a partition or a list, side by side, and one result of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, TaskGroup, TriggerRule, XComArg

from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

__all__ = ["TwilioMergeOperator", "merged", "send_each"]


class TwilioMergeOperator(BaseOperator):
    """Add up the results of sends. It runs unless one failed.

    Returns ``{"sends", "operation_ids", "status", "recipients", "rejected", "stats", "codes",
    "unexplained"}``; ``status`` is the one that all have in common, or ``MIXED``, or ``NONE`` where every
    send was skipped. Sends of the classic API have ``messages``, a list here, too.

    :param results: what the sends returned (a template, or the output of a mapped task)
    """

    template_fields: Sequence[str] = ("results",)
    ui_color = "#f9dcdc"

    def __init__(self, *, results: Iterable[Mapping[str, Any]] | XComArg, **kwargs: Any) -> None:
        super().__init__(**{"trigger_rule": TriggerRule.NONE_FAILED, **kwargs})
        self.results = results

    def execute(self, context: Context) -> dict[str, Any]:
        results: Any = self.results
        return merged([results] if isinstance(results, Mapping) else results or ())


def merged(results: Iterable[Mapping[str, Any] | None]) -> dict[str, Any]:
    """Add up results; those of skipped tasks are None."""
    done = [result for result in results if result is not None]
    statuses = {result["status"] for result in done}
    messages = [result["messages"] for result in done if result.get("messages")]
    return {
        "sends": len(done),
        "operation_ids": [each for result in done for each in result["operation_ids"]],
        "status": statuses.pop() if len(statuses) == 1 else "MIXED" if statuses else "NONE",
        "recipients": sum(result["recipients"] for result in done),
        "rejected": sum(result["rejected"] for result in done),
        "stats": _summed(done, "stats") or None,
        "codes": _summed(done, "codes"),
        "unexplained": sum(result.get("unexplained") or 0 for result in done),
        **({"messages": messages} if messages else {}),
    }


def _summed(results: Iterable[Mapping[str, Any]], name: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for result in results:
        for key, count in (result.get(name) or {}).items():
            counts[key] = counts.get(key, 0) + count
    return counts


def send_each(
    group_id: str,
    operator: type[TwilioBulkMessageOperator],
    *,
    over: Mapping[str, Any],
    **kwargs: Any,
) -> XComArg:
    """A task group that sends once for each of some values, waits, and adds up the results.

    .. code-block:: python

        total = send_each(
            "campaign",
            ObjectStorageToTwilioOperator,
            over={"path": list_files()},
            content="Hi {{ name }}",
            wait_for="delivered",
        )

    Each value is a mapped task with a ledger of its own, so one that fails is retried alone. Airflow maps
    over at most 1,024 values (``[core] max_map_length``) and starts a process for each: map over files or
    partitions, never over people.

    :param group_id: the name of the group, in which the tasks are ``send`` and ``merge``
    :param operator: one that sends to a list
    :param over: the argument to map over, and its values: a list, or another task's output
    :param kwargs: every other argument of the operator, the same for all
    :return: the sum, as :class:`TwilioMergeOperator` gives it
    """
    if not over:
        raise InvalidInput.at("over", "is empty", "Give an argument and its values, such as {'path': [...]}")
    with TaskGroup(group_id):
        sent = operator.partial(task_id="send", **kwargs).expand(**over)
        return XComArg(TwilioMergeOperator(task_id="merge", results=sent.output))
