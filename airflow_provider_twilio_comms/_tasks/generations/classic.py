"""Bulk sends through the classic API: a request for each recipient, paced as its sender is."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._core.planning.rates import QUEUE, drained, rate_of, rate_of_service
from airflow_provider_twilio_comms._core.planning.snapshot import save_sids
from airflow_provider_twilio_comms._core.sending.classic_bulk import ClassicBulkSend, batch_size
from airflow_provider_twilio_comms._core.sending.classic_request import (
    ClassicReader,
    ClassicRequest,
    classic_sender,
)
from airflow_provider_twilio_comms._core.sending.classic_summary import summarize
from airflow_provider_twilio_comms._tasks.campaigns.variants import requested
from airflow_provider_twilio_comms._tasks.task_state import earliest_start
from airflow_provider_twilio_comms.api.classic.messages import schedulable
from airflow_provider_twilio_comms.api.pace import Pace
from airflow_provider_twilio_comms.exceptions import DeliveryFailed, InvalidInput, TwilioError
from airflow_provider_twilio_comms.hooks import _metrics

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.planning.plan import Plan
    from airflow_provider_twilio_comms._core.sending.ledger import Ledger
    from airflow_provider_twilio_comms._tasks.generations.base import BulkTask
    from airflow_provider_twilio_comms.client.config import Config

AT_ONCE = 100
SCHEDULING = ("quiet_hours", "spread_over", "send_at_local", "send_window", "holidays")
MESSAGES_IN_FILE = 10_000  # of a kept plan
RARELY = 20_000  # objects that are made between two collections


class ClassicGeneration:
    """Bulk sends through the classic API."""

    ahead: timedelta = timedelta(minutes=6)  # Twilio's five before it can schedule, and a margin

    def __init__(self, task: BulkTask) -> None:
        self._task = task

    def request(self, config: Config) -> ClassicRequest:
        task = self._task
        if task.tags:
            raise InvalidInput.at("tags", "are of the Communications API", "Leave them out, or use it")
        request: ClassicRequest = requested(
            task,
            lambda content, tags: ClassicRequest.checked(
                content=content,
                sender=task.sender or config.default_sender,
                channel=task.channel,
                send_at=task.send_at,
                options=task.options,
            ),
        )
        given = [name for name in SCHEDULING if getattr(task, name)]
        if given and "messaging_service_sid" not in request.sender:
            problem = "only a messaging service holds messages until their time"
            raise InvalidInput.at(given[0], problem, "Give a messaging service as sender")
        return request

    def reader(self, request: ClassicRequest, config: Config) -> ClassicReader:
        return ClassicReader(
            column=self._task.number_column,
            channel="WHATSAPP" if request.prefix == "whatsapp:" else "PHONE",
            region=self._task.default_region,
            allows=config.allows if config.allowed_recipients else None,
            needed=request.needed,
        )

    def part_size(self, ledger: Ledger) -> int:
        """Messages in a batch: as an earlier try had them, whatever ``requests_at_once`` is now."""
        outline = ledger.head.outline if ledger.head else None
        return outline.size if outline else batch_size(self._task.requests_at_once or AT_ONCE)

    def parts_per_file(self, plan: Plan) -> int:
        return max(1, MESSAGES_IN_FILE // plan.at_most)

    def check_last(self, last: datetime, now: float) -> None:
        """Refuse what Twilio does not schedule. Its list reaches back for over a year, so any wait may be."""
        schedulable(last, datetime.fromtimestamp(now, timezone.utc))

    def per_second(self, context: Context) -> float | None:
        """None: here a worker keeps the pace, request by request."""
        return None

    def complete_report(self, report: dict[str, Any], request: ClassicRequest, context: Context) -> None:
        """Say how long it takes, and whether Twilio's queue drains in time."""
        task = self._task
        report["requests"] = report["recipients"]
        rate = self._rate(request)
        if rate == math.inf:
            return
        pace = self._pace(request, context)
        validity = int((task.options or {}).get("validity_period") or QUEUE)
        report["drain"] = found = drained(report, rate, 0.0 if pace == math.inf else pace, validity)
        hours = found["seconds"] / 3600
        if not found["in_time"]:
            task.log.warning(
                "The sender sends %g segments a second, so this takes %.1f hours, and Twilio's queue does "
                "not drain within the validity period (%d s): Twilio will fail the last (30036, 30001 or "
                "21611). Use more senders, or give messages_per_second=%g",
                rate,
                hours,
                validity,
                rate,
            )
        elif hours > 1:
            task.log.info("The sender sends %g segments a second, so this takes %.1f hours", rate, hours)

    def sending(
        self, context: Context, plan: Plan, request: ClassicRequest, ledger: Ledger
    ) -> ClassicBulkSend:
        task = self._task
        pace = self._pace(request, context)
        if pace != math.inf:
            task.log.info("At most %g %s a second are given to Twilio", pace, self._unit)
        folder = task.snapshot_folder(ledger)
        sending = ClassicBulkSend(
            plan,
            ledger,
            request,
            task.on_unknown,
            task.unknown_after,
            task.schedule(request.send_at),
            at_once=task.requests_at_once or AT_ONCE,
            pace=Pace(None if pace == math.inf else pace),
            by_segments=pace != math.inf and self._unit == "segments",
            earliest=earliest_start(context),
            keep=None if folder is None else partial(save_sids, folder),
            **task.settings(context, ledger, plan),
        )
        sending.counting = _metrics.counting("messages", conn_id=task.twilio_conn_id, kind="classic")
        return sending

    def run(self, sending: ClassicBulkSend) -> list[str]:
        with heap_frozen():
            return self._task.hook.run(sending.once())

    def _rate(self, request: ClassicRequest) -> float:
        """The rate at which Twilio lets the sender send, in a second; infinite where that cannot be read."""
        service = request.sender.get("messaging_service_sid")
        if not service:
            return rate_of(request.sender["from_"])
        try:
            return self._task.hook.run(rate_of_service(service)) or math.inf
        except TwilioError as error:
            self._task.log.warning(
                "The senders of the messaging service cannot be read, so it has no pace: %s", error
            )
            return math.inf

    def _pace(self, request: ClassicRequest, context: Context) -> float:
        """The pace of this task, in a second: its share, where it is one of a run's mapped tasks."""
        given = self._task.messages_per_second
        if given == "unlimited":
            return math.inf
        whole = self._rate(request) if given is None else float(given)
        others = int(context.get("expanded_ti_count") or 1)
        at_a_time = int(getattr(self._task, "max_active_tis_per_dagrun", None) or others)
        return whole / max(1, min(others, at_a_time))

    @property
    def _unit(self) -> str:
        """The unit of the pace: a sender's own is one of segments."""
        return "segments" if self._task.messages_per_second is None else self._task.pace_by


def sent_of(task: BulkTask, ledger: Ledger) -> Mapping[str, Any] | None:
    """The summary of a classic send, where the ledger is one's and complete; None for another."""
    if ledger.done is None:
        return None
    if ledger.done.messages is not None:
        return ledger.done.messages
    if not any(entry.messages for entry in ledger.entries()):
        return None
    sender = classic_sender(task.sender or task.hook.config.default_sender)  # it died before its last note
    return summarize(ledger, sender, time.time())


@contextmanager
def heap_frozen() -> Iterator[None]:
    """Keep the garbage collector from the objects that are there already: Airflow's, hundreds of thousands.

    A send makes many short-lived objects, and each full collection would go through all of them: four tenths
    of its processor time. The others, which find next to nothing, become rarer.
    """
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(max(usual[0], RARELY), *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def check_accepted(messages: Mapping[str, Any]) -> None:
    """Raises :class:`DeliveryFailed` where Twilio refused every recipient."""
    refused: Mapping[str, int] = messages["refused"]
    if refused and not messages["sent"] and not messages["assumed"]:
        told = ", ".join(f"{count:,} x {code}" for code, count in refused.items())
        raise DeliveryFailed(
            f"Twilio refused all {sum(refused.values()):,} recipients: {told}",
            codes=dict(refused),
            stats={"failed": sum(refused.values())},
            operation_ids=[],
        )
