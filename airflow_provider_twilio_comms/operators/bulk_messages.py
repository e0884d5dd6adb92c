"""One message to many people, once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import XComArg

from airflow_provider_twilio_comms._core.waiting.criteria import Criteria, OnUnknown, WaitFor
from airflow_provider_twilio_comms._tasks.operator import (
    FIRST_EVENT,
    count_of,
    ending_plainly,
    one_of,
    or_default,
    seconds,
)
from airflow_provider_twilio_comms._tasks.send_operator import TwilioGuardedOperator
from airflow_provider_twilio_comms.hooks import metrics
from airflow_provider_twilio_comms.links.console import KEY, TwilioOperationLink
from airflow_provider_twilio_comms.operators.killing import SENT
from airflow_provider_twilio_comms.operators.lineage import TwilioAnnouncing

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.planning.plan import Chunk, Plan
    from airflow_provider_twilio_comms._core.recipients.reader import Reader
    from airflow_provider_twilio_comms._core.sending.bulk import Sending
    from airflow_provider_twilio_comms._core.sending.ledger import Ledger
    from airflow_provider_twilio_comms.api.comms.messages import Accepted
    from airflow_provider_twilio_comms.api.wire import Call
    from airflow_provider_twilio_comms.client.config import Config
    from airflow_provider_twilio_comms.sending.request import BulkRequest

__all__ = ["TwilioBulkMessageOperator"]

MAX_RECIPIENTS = 10_000  # of one request, as api/comms says, which DAG files need not import


class TwilioBulkMessageOperator(TwilioAnnouncing, TwilioGuardedOperator):
    """Send one message to up to millions of people, each of them once, and wait until it is delivered.

    Everything is checked before anything is sent. Recipients go out in requests of up to 10,000; a retry, a
    killed worker, a lost reply or a cleared task continues where the send stopped. Returns
    ``{"operation_ids", "status", "recipients", "rejected", "stats"}``, where ``status`` is ``ACCEPTED``,
    ``COMPLETED`` or ``DRY_RUN`` and ``stats`` are Twilio's counters added up, or None without a wait.

    .. code-block:: python

        TwilioBulkMessageOperator(
            task_id="remind",
            recipients="s3://aws@campaigns/{{ ds }}.csv",
            number_column="phone",
            content="Hi {{ name | default: 'there' }}, your table is booked for {{ time }}.",
            sender="comms_senderpool_01h9krwprkeee8fzqspvwy6nq8",
            wait_for="delivered",
            min_delivered=0.95,
        )

    https://www.twilio.com/docs/bulk-messaging/api/message-resource

    :param recipients: numbers; mappings in Twilio's form (``address``, ``channel``, ``variables``); flat
        mappings, one column the number and the others variables; an XComArg or any iterable of these; or the
        path or URI of a CSV, JSON lines or Parquet file, read as a stream through ``ObjectStoragePath``
        (a template). Never shown in the UI
    :param content: a text (Liquid, not Jinja: see ``render_content``); ``{"text", "media"}``;
        ``{"content_sid"}``, whose values are the recipients' variables; or ``{"modules"}``
    :param sender: a number, ``whatsapp:+...``, ``rcs:<agent>``, a sender id, a sender pool id, or a mapping;
        left out, the connection's ``default_sender``
    :param number_column: the column with the number, in files, tables and flat mappings
    :param channel: the recipients' channel: ``phone`` (SMS, MMS and RCS) or ``whatsapp``
    :param send_at: an aware datetime, or a template that renders to one in ISO 8601 with its offset
    :param tags: up to nine tags of your own
    :param wait_for: ``accepted``, ``processed``, or ``delivered``
    :param min_delivered: with ``delivered``, the share (0.98) or count (100) that has to arrive; else all
    :param max_failed: the share or count that may fail
    :param timeout: seconds, or a timedelta, for the wait; counted from ``send_at``, if given
    :param poll_interval: seconds, or a timedelta, between two looks
    :param deferrable: wait in the triggerer; ``[operators] default_deferrable`` if left out
    :param recipients_per_request: at most so many in one request, to go in smaller steps; the same for every
        try, since a request is what is sent once
    :param send_key: what makes this send this send (a template); DAG, run, task and map index, if left out
    :param on_clear: what a cleared task does: ``resume`` sends what is not sent, ``resend`` sends anew
    :param on_unknown: what to do about a request whose outcome nobody can tell: ``fail``, ``resend`` (it may
        text people twice) or ``assume_sent`` (it may leave people out)
    :param unknown_after: seconds for which Twilio's list is searched for such a request, since lists lag
    :param render_content: render ``content`` with Jinja first; Liquid then has to stand in ``{% raw %}``
    """

    template_fields: Sequence[str] = (
        *TwilioGuardedOperator.template_fields,
        "number_column",
        "sender",
        "send_at",
        "tags",
        "send_key",
    )
    operator_extra_links: tuple[TwilioOperationLink, ...] = (TwilioOperationLink(),)

    def __init__(
        self,
        *,
        recipients: Iterable[Any] | str | XComArg,
        content: str | Mapping[str, Any] | XComArg,
        sender: str | Mapping[str, Any] | None = None,
        number_column: str | None = None,
        channel: str = "phone",
        send_at: datetime | str | None = None,
        tags: Mapping[str, str] | None = None,
        wait_for: WaitFor = "processed",
        min_delivered: float | int | None = None,
        max_failed: float | int | None = None,
        timeout: timedelta | float = timedelta(hours=24),
        poll_interval: timedelta | float = 30.0,
        deferrable: bool | None = None,
        recipients_per_request: int = MAX_RECIPIENTS,
        send_key: str | None = None,
        on_clear: Literal["resume", "resend"] = "resume",
        on_unknown: OnUnknown = "fail",
        unknown_after: float = 90.0,
        render_content: bool = False,
        initial_delay: float = FIRST_EVENT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hide(recipients=recipients, content=content)
        self.sender = sender
        self.number_column = number_column
        self.channel = channel
        self.send_at = send_at
        self.tags = tags
        self.criteria: Criteria = Criteria(wait_for, min_delivered, max_failed)
        self.timeout: float = seconds(timeout)
        self.poll_interval: float = seconds(poll_interval)
        self.deferrable: bool = or_default(deferrable)
        self.recipients_per_request: int = count_of(
            "recipients_per_request", recipients_per_request, MAX_RECIPIENTS
        )
        self.send_key = send_key
        self.on_clear: Literal["resume", "resend"] = one_of("on_clear", on_clear, "resume", "resend")
        self.on_unknown: OnUnknown = one_of("on_unknown", on_unknown, "fail", "resend", "assume_sent")
        self.unknown_after = unknown_after
        self.render_content = render_content
        self.initial_delay = initial_delay

    def rendered_fields(self) -> Sequence[str]:
        """Content is Liquid, and recipients are data: both are rendered only where they ask for it."""
        asked = {"recipients": _asks(self.shown("recipients")), "content": self.render_content}
        mine = [name for name in asked if asked[name] or _refers(self.shown(name))]
        return [*super().rendered_fields(), *mine]

    def execute(self, context: Context) -> dict[str, Any] | None:
        with ending_plainly():
            ledger = self._ledger(context)
            real = self.admitted(context, ledger)
            hook = self.hook
            request = self._request(hook.config)
            with self._planned(request, context, ledger.name, real) as plan:
                if hook.config.dry_run or not real:
                    self.log.info("Dry run: nothing was sent")
                    return self._told(context, [], "DRY_RUN", plan.recipients, plan.rejected, None)
                operation_ids = hook.run(self._sending_of(plan, request, ledger).once())
            start = max(request.send_at.timestamp() if request.send_at else 0.0, ledger.held)
            return self._followed(context, operation_ids, plan, start)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Resume with the trigger's event."""
        from airflow_provider_twilio_comms._tasks.waiting import verdict

        sent = self.sent_before(context)
        with ending_plainly():
            stats = verdict(self.hook, self.criteria, event, sent["operation_ids"])
        return self._told(context, **sent, status="COMPLETED", stats=stats.to_dict())

    def under_way(self, sent: Any) -> tuple[Sequence[str], int]:
        return (sent["operation_ids"], sent["recipients"]) if sent else ([], 0)

    def _request(self, config: Config) -> BulkRequest:
        from airflow_provider_twilio_comms.sending.request import BulkRequest

        return BulkRequest.checked(
            content=self.shown("content"),
            sender=self.sender or config.default_sender,
            channel=self.channel,
            send_at=self.send_at,
            tags=self.tags,
        )

    def _rows(self) -> Iterable[Any]:
        """The recipients as given, one by one."""
        from airflow_provider_twilio_comms._core.recipients.sources import rows_of
        from airflow_provider_twilio_comms._tasks.object_storage import resolved

        return rows_of(resolved(self.shown("recipients")), self.number_column)

    def _reader(self, request: BulkRequest, config: Config) -> Reader:
        from airflow_provider_twilio_comms._core.recipients.reader import Reader

        return Reader(
            column=self.number_column,
            channel=request.channel,
            region=self.default_region,
            allows=config.allows if config.allowed_recipients else None,
            needed=request.needed,
        )

    def _sending_of(self, plan: Plan, request: BulkRequest, ledger: Ledger) -> Sending:
        from airflow_provider_twilio_comms._core.sending.bulk import Sending

        def call(chunk: Chunk, tags: dict[str, str], now: float) -> Call[Accepted]:
            send_at = self._when(chunk, request.send_at, now)
            if send_at:
                ledger.hold(send_at.timestamp())
            return request.call(plan.to(chunk), tags, send_at)

        self._sending = sending = Sending(plan, ledger, call, self.on_unknown, self.unknown_after)
        sending.counting = metrics.counting("messages", conn_id=self.twilio_conn_id, kind="bulk")
        return sending

    def _ledger(self, context: Context) -> Ledger:
        from airflow_provider_twilio_comms._tasks.task_state import ledger_of

        return ledger_of(context, self.send_key, anew=self.on_clear == "resend")

    def _followed(
        self, context: Context, operation_ids: list[str], plan: Plan, start: float
    ) -> dict[str, Any]:
        """Wait as asked for, in the triggerer if that takes longer than a look."""
        from airflow_provider_twilio_comms._tasks.waiting import Patience, verdict

        ti, now = context["ti"], time.time()
        sent: dict[str, Any] = {
            "operation_ids": operation_ids,
            "recipients": plan.recipients,
            "rejected": plan.rejected,
        }
        ti.xcom_push(SENT, sent)
        if operation_ids:
            ti.xcom_push(KEY, self.hook.config.messages_page(operation_ids[0]))
        if self.criteria.wait_for == "accepted" or not operation_ids:
            return self._told(context, **sent, status="ACCEPTED", stats=None)
        deadline = max(now, start) + self.timeout
        patience = Patience(
            operation_ids, self.criteria, deadline, now, self.poll_interval, self.initial_delay
        )
        outcome = patience.waited(self.hook, to_the_end=not self.deferrable)
        if outcome is None:
            self.defer(
                trigger=patience.trigger(self.twilio_conn_id),
                method_name="execute_complete",
                timeout=patience.backstop,
            )
        stats = verdict(self.hook, self.criteria, outcome, operation_ids)
        return self._told(context, **sent, status="COMPLETED", stats=stats.to_dict())

    def _told(
        self,
        context: Context,
        operation_ids: list[str],
        status: str,
        recipients: int,
        rejected: int,
        stats: dict[str, int] | None,
    ) -> dict[str, Any]:
        """The result, which events of the task's assets carry too."""
        result = {
            "operation_ids": operation_ids,
            "status": status,
            "recipients": recipients,
            "rejected": rejected,
            "stats": stats,
        }
        self.announce(context, result)
        return result


def _refers(value: Any) -> bool:
    """Whether a value is another task's, or holds one."""
    return any(True for _ in XComArg.iter_xcom_references(value))


def _asks(recipients: Any) -> bool:
    """Whether recipients are a template: a path, or a list of numbers in which one is."""
    if isinstance(recipients, list):
        return any(isinstance(given, str) and "{{" in given for given in recipients)
    return isinstance(recipients, str)
