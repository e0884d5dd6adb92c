"""A message to one person, or a few, once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import XComArg

from airflow_provider_twilio_comms._core.planning.limits import OnDuplicate
from airflow_provider_twilio_comms._core.waiting.criteria import OnUnknown
from airflow_provider_twilio_comms._tasks.operator import (
    FIRST_EVENT,
    ending_plainly,
    one_of,
    or_default,
    seconds,
)
from airflow_provider_twilio_comms._tasks.send_operator import TwilioGuardedOperator
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.hooks import metrics
from airflow_provider_twilio_comms.links.console import KEY, TwilioOperationLink
from airflow_provider_twilio_comms.operators.killing import SENT

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.planning.plan import Plan
    from airflow_provider_twilio_comms._core.recipients.reader import Reader
    from airflow_provider_twilio_comms._core.sending.ledger import Ledger
    from airflow_provider_twilio_comms._core.sending.message import Letter
    from airflow_provider_twilio_comms._core.sending.single import Single
    from airflow_provider_twilio_comms.client.config import Config
    from airflow_provider_twilio_comms.operators.message_waits import MessagePatience

__all__ = ["TwilioSendMessageOperator"]


class TwilioSendMessageOperator(TwilioGuardedOperator):
    """Text one person, or a few, each of them once, and wait until the message is there.

    SMS, MMS, WhatsApp and RCS; for many people use
    :class:`~airflow_provider_twilio_comms.operators.bulk_messages.TwilioBulkMessageOperator`.
    A retry, a killed worker, a lost reply or a cleared task sends to nobody a second time, and one message that fails does not
    keep the others back. Returns ``{"sids", "status", "statuses"}``, where ``status`` is ``ACCEPTED``,
    ``COMPLETED`` or ``DRY_RUN`` and ``statuses`` says how many messages have which of Twilio's statuses.
    The guards are those of a list; ``on_duplicate`` is ``first`` if left out, and ``quiet_hours`` need a
    messaging service, which alone can hold a message.

    .. code-block:: python

        TwilioSendMessageOperator(
            task_id="tell",
            to="{{ params.on_call }}",
            from_="+15005550006",
            body="The nightly load failed, please look.",
            wait_for="delivered",
        )

    A message is found again by recipient, sender, text and time: two tasks that text the same person the same
    words at the same moment can be taken for each other where a reply was lost.

    https://www.twilio.com/docs/messaging/api/message-resource

    :param to: a number, a channel's address (``whatsapp:+...``), several of them, or a template or XComArg
        that gives them. Never shown
    :param body: the text, up to 1,600 characters. Not a template unless ``render_content``. Never shown
    :param from_: the sender: a number, short code, name or ``whatsapp:+...``; else the messaging service
        chooses; without one, the connection's ``default_sender``
    :param messaging_service_sid: the service that sends it; scheduling, RCS and shortened links need one
    :param media_url: up to ten addresses of files, for MMS and WhatsApp. Never shown, as they may be signed
    :param content_sid: a content template, instead of ``body``
    :param content_variables: its variables by name, such as ``{"1": "Ada"}``. Never shown
    :param fallback_from: who sends it as an SMS where RCS does not reach; needs a service with an RCS sender
    :param send_at: when Twilio is to send it, over 5 minutes and up to 35 days from now: an aware datetime,
        or a template that renders to one in ISO 8601 with its offset
    :param options: Twilio's other parameters in snake_case: ``validity_period``, ``status_callback``,
        ``provide_feedback``, ``shorten_urls``, ``smart_encoded``, ``content_retention`` ...
    :param wait_for: ``queued`` (Twilio has it), ``sent`` (the carrier has it) or ``delivered``. Where a
        carrier gives no receipts, ``delivered`` never comes
    :param timeout: seconds, or a timedelta, for the wait; counted from ``send_at``, if given
    :param poll_interval: seconds, or a timedelta, between two looks
    :param deferrable: wait in the triggerer; ``[operators] default_deferrable`` if left out
    :param cancel_on_kill: where the task is killed or failed from outside, cancel what is still scheduled;
        a later try schedules it again
    :param send_key: what makes this send this send (a template); DAG, run, task and map index, if left out
    :param on_clear: what a cleared task does: ``resume`` sends what is not sent, ``resend`` sends anew
    :param on_unknown: what to do about a request whose outcome nobody can tell: ``fail``, ``resend`` (it may
        text people twice) or ``assume_sent`` (it may leave people out)
    :param unknown_after: seconds for which Twilio's list is searched for such a message, since lists lag
    :param render_content: render ``body`` and ``content_variables`` with Jinja
    """

    hidden_fields: ClassVar[Sequence[str]] = (
        "to",
        "from_",
        "media_url",
        "fallback_from",
        "body",
        "content_variables",
    )
    template_fields: Sequence[str] = (
        *TwilioGuardedOperator.template_fields,
        *hidden_fields,
        "messaging_service_sid",
        "content_sid",
        "send_at",
        "options",
        "send_key",
    )
    operator_extra_links: tuple[TwilioOperationLink, ...] = (TwilioOperationLink(),)
    usual_duplicates: ClassVar[OnDuplicate] = "first"
    _sending: Single | None = None

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
        send_at: datetime | str | None = None,
        options: Mapping[str, Any] | None = None,
        wait_for: Literal["queued", "sent", "delivered"] = "queued",
        timeout: timedelta | float = timedelta(hours=1),
        poll_interval: timedelta | float = 15.0,
        deferrable: bool | None = None,
        cancel_on_kill: bool = False,
        send_key: str | None = None,
        on_clear: Literal["resume", "resend"] = "resume",
        on_unknown: OnUnknown = "fail",
        unknown_after: float = 90.0,
        render_content: bool = False,
        initial_delay: float = FIRST_EVENT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hide(to=to, from_=from_, fallback_from=fallback_from, media_url=media_url)
        self.hide(body=body, content_variables=content_variables)
        self.messaging_service_sid = messaging_service_sid
        self.content_sid = content_sid
        self.send_at = send_at
        self.options = options
        self.wait_for: str = one_of("wait_for", wait_for, "queued", "sent", "delivered")
        self.timeout: float = seconds(timeout)
        self.poll_interval: float = seconds(poll_interval)
        self.deferrable: bool = or_default(deferrable)
        self.cancel_on_kill = cancel_on_kill
        self.send_key = send_key
        self.on_clear: Literal["resume", "resend"] = one_of("on_clear", on_clear, "resume", "resend")
        self.on_unknown: OnUnknown = one_of("on_unknown", on_unknown, "fail", "resend", "assume_sent")
        self.unknown_after = unknown_after
        self.render_content = render_content
        self.initial_delay = initial_delay

    def rendered_fields(self) -> Sequence[str]:
        """Content is rendered where the author says so, or where another task gives it."""
        content = {"body", "content_variables"}
        mine = [
            name
            for name in self.hidden_fields
            if name not in content
            or self.render_content
            or any(True for _ in XComArg.iter_xcom_references(self.shown(name)))
        ]
        return [*super().rendered_fields(), *mine]

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.sending.message import addressees_of
        from airflow_provider_twilio_comms._tasks.task_state import ledger_of

        with ending_plainly():
            ledger = ledger_of(context, self.send_key, anew=self.on_clear == "resend", noun="message")
            real = self.admitted(context, ledger)
            hook = self.hook
            letter = self._letter(hook.config)
            with self._planned(letter, context, ledger.name, real) as plan:
                letter = letter.sent_to(addressees_of(plan))
                if hook.config.dry_run or not real:
                    self.log.info("Dry run: %d messages were checked, and none was sent", len(letter.to))
                    return _result([], "DRY_RUN", {})
                self._sending = self._sending_of(letter, plan, ledger, context)
                sids = hook.run(self._sending.once())
            send_at = letter.options.get("send_at")
            start = max(send_at.timestamp() if send_at else 0.0, ledger.held)
            return self._followed(context, sids, start)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Resume with the trigger's event."""
        sids = self.sent_before(context)
        with ending_plainly():
            return _result(
                sids, "COMPLETED", self._patience(sids, time.time()).verdict(event, self.twilio_conn_id)
            )

    def under_way(self, sent: Any) -> tuple[Sequence[str], int]:
        return sent or [], len(sent or [])

    def call_off(self, ids: Sequence[str]) -> None:
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

    def _letter(self, config: Config) -> Letter:
        """The message without those who get it."""
        from airflow_provider_twilio_comms._core.sending.message import Letter

        sender, media = self.shown("from_"), self.shown("media_url")
        if not (sender or self.messaging_service_sid):
            sender = config.default_sender
        given = {
            "from_": sender,
            "messaging_service_sid": self.messaging_service_sid,
            "body": self.shown("body"),
            "media_url": [media] if isinstance(media, str) and media else media,
            "content_sid": self.content_sid,
            "content_variables": self.shown("content_variables"),
            "fallback_from": self.shown("fallback_from"),
            "send_at": self.send_at,
            **(self.options or {}),
        }
        letter = Letter.of(given)
        if self.quiet_hours and not letter.service_sid:
            problem = "only a messaging service holds messages until they are over"
            raise InvalidInput.at("quiet_hours", problem, "Give messaging_service_sid")
        return letter

    def _rows(self) -> Iterable[Any]:
        from airflow_provider_twilio_comms._core.sending.message import listed

        return listed(self.shown("to") or ())

    def _reader(self, request: Letter, config: Config) -> Reader:
        from airflow_provider_twilio_comms._core.sending.message import AddresseeReader

        allows = config.allows if config.allowed_recipients else None
        return AddresseeReader(region=self.default_region, allows=allows, needed=request.needed)

    def _sending_of(self, letter: Letter, plan: Plan, ledger: Ledger, context: Context) -> Single:
        from airflow_provider_twilio_comms._core.sending.single import Single
        from airflow_provider_twilio_comms.operators.message_waits import held

        started = getattr(context.get("dag_run"), "start_date", None)
        sending = Single(
            letter,
            ledger,
            self.on_unknown,
            self.unknown_after,
            earliest=started.timestamp() if started else None,
            revive=self.cancel_on_kill,
            when=held(self._when, letter, plan, ledger) if self.quiet_hours else None,
        )
        sending.counting = metrics.counting("messages", conn_id=self.twilio_conn_id, kind="message")
        return sending

    def _followed(self, context: Context, sids: list[str], start: float) -> dict[str, Any]:
        """Wait as asked for, in the triggerer if that takes longer than a look."""
        context["ti"].xcom_push(SENT, sids)
        if sids:
            context["ti"].xcom_push(KEY, self.hook.config.messages_page(sids[0]))
        known = self._sending.statuses if self._sending else {}
        if self.wait_for == "queued" or not sids:
            return _result(sids, "ACCEPTED", Counter(known.get(sid, "accepted") for sid in sids))
        patience = self._patience(sids, max(time.time(), start))
        outcome = patience.waited(self.hook, to_the_end=not self.deferrable)
        if outcome is None:
            self.defer(
                trigger=patience.trigger(self.twilio_conn_id, cancel_on_kill=self.cancel_on_kill),
                method_name="execute_complete",
                timeout=patience.backstop,
            )
        return _result(sids, "COMPLETED", patience.verdict(outcome, self.twilio_conn_id))

    def _patience(self, sids: list[str], start: float) -> MessagePatience:
        from airflow_provider_twilio_comms.operators.message_waits import MessagePatience

        return MessagePatience(
            sids, self.wait_for, start + self.timeout, time.time(), self.poll_interval, self.initial_delay
        )


def _result(sids: list[str], status: str, statuses: Mapping[str, int]) -> dict[str, Any]:
    return {"sids": sids, "status": status, "statuses": dict(statuses)}
