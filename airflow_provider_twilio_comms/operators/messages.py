"""Cancel, redact, delete and list messages that were sent, and report what came of them.

https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms._tasks.arguments import ids_of, one_of, seconds
from airflow_provider_twilio_comms._tasks.operator import Hidden, TwilioOperator, failing_fast
from airflow_provider_twilio_comms._tasks.resource_operators import TwilioListOperator
from airflow_provider_twilio_comms.exceptions import DeliveryFailed

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._tasks.table_files import Take
    from airflow_provider_twilio_comms.api.flows import Flow
    from airflow_provider_twilio_comms.api.wire import Call

__all__ = [
    "TwilioCancelMessageOperator",
    "TwilioDeleteMessageOperator",
    "TwilioListMessagesOperator",
    "TwilioMessageFeedbackOperator",
    "TwilioRedactMessageOperator",
]


class _OfMessages(TwilioOperator):
    """Base of what is done to messages that are named."""

    template_fields: Sequence[str] = (*TwilioOperator.template_fields, "sids")

    def __init__(self, *, sids: str | Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sids = sids

    @property
    def named(self) -> list[str]:
        """The SIDs. Raises :class:`InvalidInput`."""
        return ids_of("sids", self.sids, "(SM|MM)[0-9a-fA-F]{32}", "SM or MM and 32 hexadecimal digits")


class TwilioCancelMessageOperator(_OfMessages):
    """Cancel messages that are scheduled. Canceling twice is canceling once.

    Returns ``{"canceled": [SIDs], "too_late": [SIDs]}``.

    https://www.twilio.com/docs/messaging/features/message-scheduling#cancel-a-scheduled-message

    :param sids: one SID, several, or a template or XComArg that gives them
    :param if_too_late: ``fail`` (when all were tried) or ``skip``
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    def __init__(
        self, *, sids: str | Sequence[str], if_too_late: Literal["fail", "skip"] = "fail", **kwargs: Any
    ) -> None:
        super().__init__(sids=sids, **kwargs)
        self.if_too_late: Literal["fail", "skip"] = one_of("if_too_late", if_too_late, "fail", "skip")

    def execute(self, context: Context) -> dict[str, list[str]]:
        from airflow_provider_twilio_comms._core.sending.cancel import canceled

        with failing_fast():
            stopped, late = self.hook.run(canceled(self.named))
            self.log.info("Canceled %s; too late for %d", pluralize(len(stopped), "message"), len(late))
            if late and self.if_too_late == "fail":
                raise DeliveryFailed(
                    f"too late to cancel {len(late)} of {len(stopped) + len(late)} messages: "
                    f"{', '.join(late[:5])}. Set if_too_late='skip' where that may happen",
                    operation_ids=late,
                )
        return {"canceled": stopped, "too_late": late}


class _WhenFinished(_OfMessages):
    """Base of what Twilio refuses while a message is in flight.

    :param patience: seconds, or a timedelta, for which that is waited for; then a retry of the task goes on
    """

    def __init__(
        self, *, sids: str | Sequence[str], patience: timedelta | float = timedelta(minutes=5), **kwargs: Any
    ) -> None:
        super().__init__(sids=sids, **kwargs)
        self.patience: float = seconds(patience)

    def each(self, call: Callable[[str], Call[Any]]) -> int:
        """Make the call for every message; returns for how many. One that is gone needs nothing done."""
        from airflow_provider_twilio_comms._core.resources.messages import when_finished

        with failing_fast():
            sids = self.named
            gone = sum(self.hook.run(when_finished(call(sid), self.patience)) for sid in sids)
        self.log.info("Done for %s, of which %d were gone before", pluralize(len(sids), "message"), gone)
        return len(sids)


class TwilioRedactMessageOperator(_WhenFinished):
    """Take the text out of messages, for good; their other data stay. Returns ``{"redacted": count}``.

    https://www.twilio.com/docs/messaging/tutorials/how-to-retrieve-and-modify-message-history

    :param sids: one SID, several, or a template or XComArg that gives them
    :param patience: seconds, or a timedelta, to wait for messages that are still in flight
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    def execute(self, context: Context) -> dict[str, int]:
        from airflow_provider_twilio_comms.api.classic import messages

        return {"redacted": self.each(messages.redact)}


class TwilioDeleteMessageOperator(_WhenFinished):
    """Delete messages and their media, for good. One that is gone is done. Returns ``{"deleted": count}``.

    https://www.twilio.com/docs/messaging/api/message-resource#delete-a-message-resource

    :param sids: one SID, several, or a template or XComArg that gives them
    :param patience: seconds, or a timedelta, to wait for messages that are still in flight
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    def execute(self, context: Context) -> dict[str, int]:
        from airflow_provider_twilio_comms.api.classic import messages

        return {"deleted": self.each(messages.delete)}


class TwilioMessageFeedbackOperator(_OfMessages):
    """Report that recipients did, or did not do, what a message was for. Returns ``{"reported": count}``.

    The messages must have been sent with ``provide_feedback``.

    https://www.twilio.com/docs/messaging/api/message-feedback-resource

    :param sids: one SID, several, or a template or XComArg that gives them
    :param outcome: ``confirmed`` or ``unconfirmed`` (a template)
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (*_OfMessages.template_fields, "outcome")

    def __init__(
        self,
        *,
        sids: str | Sequence[str],
        outcome: Literal["confirmed", "unconfirmed"] = "confirmed",
        **kwargs: Any,
    ) -> None:
        super().__init__(sids=sids, **kwargs)
        self.outcome = outcome

    def execute(self, context: Context) -> dict[str, int]:
        from airflow_provider_twilio_comms.api.classic import feedback

        with failing_fast():
            sids = self.named
            for sid in sids:
                self.hook.run(feedback.create(sid, self.outcome))
        return {"reported": len(sids)}


class TwilioListMessagesOperator(TwilioListOperator):
    """List messages, newest first.

    Rows that go to XCom have no ``to``, ``from`` and ``body``, unless ``fields`` names them; a file has all.
    Returns ``{"count", "rows"}``, or with ``output_path`` ``{"count", "output_path"}``.

    .. code-block:: python

        TwilioListMessagesOperator(
            task_id="log",
            sent_on="{{ ds }}",
            output_path="s3://aws@messages/{{ ds }}.parquet",
        )

    https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources

    :param to: only those to this number or channel's address (a template). Never shown
    :param from_: only those from this sender (a template). Never shown
    :param sent_on: only those of this UTC day: a date, or a template that renders to one
    :param sent_on_or_after: only those of this day or moment, or later
    :param sent_on_or_before: only those of this day or moment, or earlier. What is not sent yet has no date,
        and no date finds it
    :param limit: read so many rows at most
    :param fields: keep these columns only
    :param output_path: write the rows to this file: JSON lines (``.jsonl``) or Parquet (a template)
    :param max_rows: more rows than this do not go to XCom: the task fails and asks for ``output_path``
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (
        *TwilioListOperator.template_fields,
        "to",
        "from_",
        "sent_on",
        "sent_on_or_after",
        "sent_on_or_before",
    )
    personal: ClassVar[frozenset[str]] = frozenset({"to", "from", "body"})

    def __init__(
        self,
        *,
        to: str | None = None,
        from_: str | None = None,
        sent_on: date | str | None = None,
        sent_on_or_after: date | str | None = None,
        sent_on_or_before: date | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.to: Hidden[str | None] = self.hide(to)
        self.from_: Hidden[str | None] = self.hide(from_)
        self.sent_on = sent_on
        self.sent_on_or_after = sent_on_or_after
        self.sent_on_or_before = sent_on_or_before

    def read(self, take: Take, limit: int | None) -> Flow[int]:
        from airflow_provider_twilio_comms.api.classic import messages
        from airflow_provider_twilio_comms.api.flows import every_page

        only: Any = {
            "to": self.to.value,
            "from_": self.from_.value,
            "sent_on": self.sent_on,
            "sent_on_or_after": self.sent_on_or_after,
            "sent_on_or_before": self.sent_on_or_before,
            "page_size": min(limit or 1000, 1000),
        }
        return every_page(messages.list(**only), take, limit)
