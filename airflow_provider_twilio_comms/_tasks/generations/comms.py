"""Bulk sends through the Communications API: up to 10,000 recipients in a request."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._core.recipients.reader import Reader
from airflow_provider_twilio_comms._core.sending.bulk import BulkRequest, BulkSend
from airflow_provider_twilio_comms._core.waiting.operations import check_kept
from airflow_provider_twilio_comms._tasks.arguments import sender_of
from airflow_provider_twilio_comms._tasks.campaigns.variants import requested
from airflow_provider_twilio_comms.api.comms.messages import schedulable
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.hooks import _metrics

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.planning.plan import Plan
    from airflow_provider_twilio_comms._core.sending.ledger import Ledger
    from airflow_provider_twilio_comms._tasks.generations.base import BulkTask
    from airflow_provider_twilio_comms.client.config import Config

AT_ONCE = 4


class CommsGeneration:
    """Bulk sends through the Communications API."""

    ahead: timedelta = timedelta()

    def __init__(self, task: BulkTask) -> None:
        self._task = task

    def request(self, config: Config) -> Any:
        task = self._task
        segments = task.messages_per_second is not None and task.pace_by == "segments"
        if task.options or segments:
            name = "options" if task.options else "pace_by"
            fix = "Leave it out, or set generation='classic'"
            raise InvalidInput.at(name, "is of the classic API", fix)
        if task.spread_over is not None and task.messages_per_second is not None:
            problem = "and spread_over both say how fast it goes"
            raise InvalidInput.at("messages_per_second", problem, "Give one of them")
        return requested(
            task,
            lambda content, tags: BulkRequest.checked(
                content=content,
                sender=None if task.twilio_chooses_sender else sender_of(task.sender, config.default_sender),
                channel=task.channel,
                send_at=task.send_at,
                tags={**(task.tags or {}), **tags} if tags else task.tags,
                twilio_chooses=task.twilio_chooses_sender,
            ),
        )

    def reader(self, request: BulkRequest, config: Config) -> Reader:
        task = self._task
        return Reader(
            column=task.number_column,
            channel=request.channel,
            region=task.default_region,
            allows=task.also(config.allows) if config.allowed_recipients else None,
            needed=request.needed,
        )

    def part_size(self, ledger: Ledger) -> int:
        return self._task.recipients_per_request

    def parts_per_file(self, plan: Plan) -> int:
        return 1

    def check_last(self, last: datetime, now: float) -> None:
        schedulable(last, datetime.fromtimestamp(now, timezone.utc))
        check_kept(last.timestamp() - now, self._task.timeout, self._task.criteria.wait_for)

    def per_second(self, context: Context) -> float | None:
        """The pace of this task's ladder: its share, where it is one of a run's mapped tasks."""
        given = self._task.messages_per_second
        if not isinstance(given, float):
            return None
        return given / max(1, int(context.get("expanded_ti_count") or 1))

    def complete_report(self, report: dict[str, Any], request: BulkRequest, context: Context) -> None:
        """Add nothing: the report counts requests as they are."""

    def sending(self, context: Context, plan: Plan, request: BulkRequest, ledger: Ledger) -> BulkSend:
        task = self._task
        sending = BulkSend(
            plan,
            ledger,
            request,
            task.on_unknown,
            task.unknown_after,
            task.schedule(request.send_at),
            at_once=task.requests_at_once or AT_ONCE,
            **task.settings(context, ledger, plan),
        )
        sending.counting = _metrics.counting("messages", conn_id=task.twilio_conn_id, kind="bulk")
        return sending

    def run(self, sending: BulkSend) -> list[str]:
        return self._task.hook.run(sending.once())
