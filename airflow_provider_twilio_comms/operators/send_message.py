"""Send a message to one person, or a few, once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import XComArg

from airflow_provider_twilio_comms._core.planning.limits import OnDuplicate
from airflow_provider_twilio_comms._core.xcom_keys import SENT
from airflow_provider_twilio_comms._tasks.operator import Hidden, failing_fast
from airflow_provider_twilio_comms._tasks.send_operator import TwilioSendOperator
from airflow_provider_twilio_comms._tasks.sender_errors import naming_sender
from airflow_provider_twilio_comms.exceptions import InvalidInput, SendUncertain
from airflow_provider_twilio_comms.hooks import _metrics

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.planning.plan import Plan
    from airflow_provider_twilio_comms._core.recipients.reader import Reader
    from airflow_provider_twilio_comms._core.sending.classic_messages import MessageSend
    from airflow_provider_twilio_comms._core.sending.ledger import Ledger
    from airflow_provider_twilio_comms._core.sending.message import OutgoingMessage
    from airflow_provider_twilio_comms._tasks.waiting import MessagesTaskWait
    from airflow_provider_twilio_comms.client.config import Config

__all__ = ["TwilioSendMessageOperator"]


class TwilioSendMessageOperator(TwilioSendOperator):
    """Text one person, or a few, each of them once, and wait until the carrier has the message.

    SMS, MMS, WhatsApp and RCS; for many people use
    :class:`~airflow_provider_twilio_comms.operators.bulk_messages.TwilioBulkMessageOperator`.
    A retry, a killed worker, a lost reply or a cleared task sends to nobody a second time, and one message
    that fails does not keep the others back. Returns ``{"sids", "status", "statuses"}``, where ``status`` is
    ``ACCEPTED``, ``COMPLETED`` or ``DRY_RUN`` and ``statuses`` says how many messages have which of Twilio's
    statuses.
    The guards are those of a list; ``on_duplicate`` is ``first`` if left out, and ``quiet_hours`` need a
    messaging service, which alone can hold a message.

    .. code-block:: python

        TwilioSendMessageOperator(
            task_id="tell",
            to="{{ params.on_call }}",
            from_="+15005550006",
            body="The load of {{ ds }} failed, please look.",
        )

    A message is found again by recipient, sender, text and time: two tasks that text the same person the same
    words at the same moment can be taken for each other where a reply was lost.

    https://www.twilio.com/docs/messaging/api/message-resource

    :param to: a number, a channel's address (``whatsapp:+...``), several of them, or a template or XComArg
        that gives them. Never shown
    :param body: the text, up to 1,600 characters (a template; with ``render_content=False`` braces are sent
        as they are). What another task gives is not rendered, but for ``expand_kwargs``. Never shown
    :param from_: the sender: a number, short code, name or ``whatsapp:+...``; else the messaging service
        chooses; without one, the connection's ``default_sender``
    :param messaging_service_sid: the service that sends it; scheduling, RCS and shortened links need one
    :param media_url: up to ten addresses of files, for MMS and WhatsApp (templates). Never shown, as they may
        be signed
    :param content_sid: a content template, instead of ``body``; list pickers and quick replies are such
        templates
    :param content_variables: its variables by name, such as ``{"1": "Ada"}`` (templates, as ``body`` is).
        Never shown
    :param fallback_from: who sends it as an SMS where RCS does not reach; needs a service with an RCS sender
    :param options: Twilio's other parameters in snake_case: ``validity_period``, ``status_callback``,
        ``provide_feedback``, ``shorten_urls``, ``smart_encoded``, ``content_retention`` ... The old parameter
        of Apple Pay and other channels is ``persistent_action``. ``force_delivery`` is reserved by Twilio,
        which promises no effect; ``max_price`` is taken and has had none since June 2024: use ``max_cost``
    :param wait_for: ``queued`` (Twilio has it), ``sent`` (the carrier has it) or ``delivered``. With ``sent``
        and ``delivered`` a message that failed or was not delivered fails the task, with Twilio's code and
        what it means. Where a carrier gives no receipts, ``delivered`` never comes
    :param cancel_on_kill: where the task is killed or failed from outside, cancel what is still scheduled;
        a later try schedules it again
    """

    template_fields: Sequence[str] = (
        *TwilioSendOperator.template_fields,
        "to",
        "from_",
        "media_url",
        "fallback_from",
        "body",
        "content_variables",
        "messaging_service_sid",
        "content_sid",
        "options",
    )
    noun: ClassVar[str] = "message"
    ends: ClassVar[tuple[str, ...]] = ("queued", "sent", "delivered")
    usual_timeout: ClassVar[timedelta] = timedelta(hours=1)
    usual_poll_interval: ClassVar[float] = 15.0
    schedule_ahead: ClassVar[timedelta] = timedelta(minutes=6)  # Twilio's five, and a margin for the request
    usual_duplicates: ClassVar[OnDuplicate] = "first"
    usual_render: ClassVar[bool] = True  # the classic API has no Liquid
    _sending: MessageSend | None = None

    def __init__(
        self,
        *,
        to: str | Iterable[str] | XComArg,
        body: str | XComArg | None = None,
        from_: str | None = None,
        messaging_service_sid: str | None = None,
        media_url: str | Sequence[str] | XComArg | None = None,
        content_sid: str | None = None,
        content_variables: Mapping[str, str] | XComArg | None = None,
        fallback_from: str | None = None,
        options: Mapping[str, Any] | None = None,
        wait_for: Literal["queued", "sent", "delivered"] = "sent",
        cancel_on_kill: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(wait_for=wait_for, **kwargs)
        self.to: Hidden[str | Iterable[str]] = self.hide(to)
        self.from_: Hidden[str | None] = self.hide(from_)
        self.fallback_from: Hidden[str | None] = self.hide(fallback_from)
        self.media_url: Hidden[str | Sequence[str] | None] = self.hide(media_url)
        self.body: Hidden[str | None] = self.hide(body, rendered=self.render_content, text=True)
        self.content_variables: Hidden[Mapping[str, str] | None] = self.hide(
            content_variables, rendered=self.render_content
        )
        self.messaging_service_sid = messaging_service_sid
        self.content_sid = content_sid
        self.options = options
        self.cancel_on_kill = cancel_on_kill

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.sending.message import addressees_of

        with failing_fast():
            ledger = self.ledger(context)
            if ledger.done:
                self.log.info("Everything was sent on an earlier try: %d messages", ledger.done.recipients)
                return self._wait(context, ledger.ids, ledger.done.recipients, ledger)
            real = self.check_schedule(context, ledger)
            hook = self.hook
            message = self.message(hook.config)
            with self.planned(message, context, ledger, real) as plan:
                plan.drop_empty()
                message = message.sent_to(addressees_of(plan))
                if hook.config.dry_run or not real:
                    self.log.info("Dry run: %d messages were checked, and none was sent", len(message.to))
                    return _result([], "DRY_RUN", {})
                self._sending = self._message_send(message, plan, ledger, context)
                given = "messaging_service_sid" if self.messaging_service_sid else "from_"
                known = self.messaging_service_sid or self.from_.value
                with naming_sender(given if known else None, self.twilio_conn_id):
                    sids = hook.run(self._sending.once())
            return self._wait(context, sids, plan.recipients, ledger)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Resume with the trigger's event."""
        with failing_fast():
            sids = self.sent_before(context) or self.ledger(context).ids
            return _result(sids, "COMPLETED", self._task_wait(sids, time.time()).verdict(event, self.hook))

    def in_flight(self, sent: Any) -> tuple[Sequence[str], int]:
        return sent or [], len(sent or [])

    def cancel_scheduled(self, ids: Sequence[str]) -> None:
        """Cancel what is scheduled, with a session of its own: the other may be locked in a signal."""
        from airflow_provider_twilio_comms._core.sending.cancel import canceled
        from airflow_provider_twilio_comms.client.sync import Client
        from airflow_provider_twilio_comms.exceptions import TwilioError

        if not self.cancel_on_kill:
            return
        try:
            stopped, late = Client(self.hook.config).run(canceled(ids))
        except TwilioError as error:
            self.log.warning("What is scheduled could not be canceled: %s", error)
        else:
            self.log.warning("Canceled %d messages; too late for %d", len(stopped), len(late))

    def message(self, config: Config) -> OutgoingMessage:
        """The message without those who get it."""
        from airflow_provider_twilio_comms._core.sending.message import OutgoingMessage

        sender, media = self.from_.value, self.media_url.value
        if not (sender or self.messaging_service_sid):
            sender = config.default_sender
        given = {
            "from_": sender,
            "messaging_service_sid": self.messaging_service_sid,
            "body": self.body.value,
            "media_url": [media] if isinstance(media, str) and media else media,
            "content_sid": self.content_sid,
            "content_variables": self.content_variables.value,
            "fallback_from": self.fallback_from.value,
            "send_at": self.send_at,
            **(self.options or {}),
        }
        message = OutgoingMessage.of(given)
        if self.quiet_hours and not message.service_sid:
            problem = "only a messaging service holds messages until they are over"
            raise InvalidInput.at("quiet_hours", problem, "Give messaging_service_sid")
        return message

    def rows(self) -> Iterable[Any]:
        from airflow_provider_twilio_comms._core.sending.message import listed

        return listed(self.to.value or ())

    def reader(self, request: OutgoingMessage, config: Config) -> Reader:
        from airflow_provider_twilio_comms._core.sending.message import AddresseeReader

        allows = config.allows if config.allowed_recipients else None
        return AddresseeReader(region=self.default_region, allows=allows, needed=request.needed)

    def _message_send(
        self, message: OutgoingMessage, plan: Plan, ledger: Ledger, context: Context
    ) -> MessageSend:
        from airflow_provider_twilio_comms._core.sending.classic_messages import MessageSend
        from airflow_provider_twilio_comms._tasks.task_state import earliest_start

        sending = MessageSend(
            message,
            ledger,
            self.on_unknown,
            self.unknown_after,
            earliest=earliest_start(context),
            revive=self.cancel_on_kill,
            schedule=self.schedule(message.options.get("send_at")),
            zones=[chunk.zones for chunk in plan.chunks],
            chunks=[chunk.number for chunk in plan.chunks],
            rows=plan.rows,
            **self.settings(context, ledger, plan),
        )
        sending.counting = _metrics.counting("messages", conn_id=self.twilio_conn_id, kind="message")
        return sending

    def _wait(self, context: Context, sids: list[str], recipients: int, ledger: Ledger) -> dict[str, Any]:
        """Wait as asked for, in the triggerer if that takes longer than a look."""
        from airflow_provider_twilio_comms._tasks.waiting import tell_accepted

        context["ti"].xcom_push(SENT, sids)
        self.leave_link(context, sids[0] if sids else None)
        known = self._sending.statuses if self._sending else {}
        if self.wait_for == "queued":
            tell_accepted(len(sids), recipients, "queued")
            return _result(sids, "ACCEPTED", Counter(known.get(sid, "accepted") for sid in sids))
        if len(sids) < recipients:
            raise SendUncertain(
                f"{recipients - len(sids)} of {recipients} messages were taken as sent, and Twilio's list "
                f"does not show them: nobody can tell whether they are {self.wait_for}. A later try looks "
                "again, and sends nothing again; wait_for='queued' goes on without them",
                operation_ids=sids,
            )
        wait = self._task_wait(sids, max(time.time(), ledger.held))
        outcome = wait.run(self.hook, to_the_end=not self.deferrable)
        if outcome is None:
            self.defer(
                trigger=wait.trigger(self.twilio_conn_id, cancel_on_kill=self.cancel_on_kill),
                method_name="execute_complete",
                timeout=wait.backstop,
            )
        return _result(sids, "COMPLETED", wait.verdict(outcome, self.hook))

    def _task_wait(self, sids: list[str], start: float) -> MessagesTaskWait:
        from airflow_provider_twilio_comms._tasks.waiting import MessagesTaskWait

        return MessagesTaskWait(
            sids, self.wait_for, start + self.timeout, time.time(), self.poll_interval, self.initial_delay
        )


def _result(sids: list[str], status: str, statuses: Mapping[str, int]) -> dict[str, Any]:
    return {"sids": sids, "status": status, "statuses": dict(statuses)}
