"""Triggers that wait without a worker: for single messages, and for all messages of a classic bulk send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_provider_twilio_comms._core.sending.cancel import canceled
from airflow_provider_twilio_comms._core.waiting.base import Until
from airflow_provider_twilio_comms._core.waiting.messages import MessageWait, Seen, seen
from airflow_provider_twilio_comms._core.waiting.operations import describe_counts
from airflow_provider_twilio_comms._core.waiting.sent_messages import (
    SentMessages,
    SentWait,
    Tally,
    Target,
    look,
)
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.triggers._poller import FEW, Source
from airflow_provider_twilio_comms.triggers._sid_files import read_sids
from airflow_provider_twilio_comms.triggers._waiting import WaitingTrigger, undisturbed

__all__ = ["TwilioMessagesTrigger", "TwilioSentMessagesTrigger"]

PAGE = 200  # rows of the list that are asked for at a time
WORTH = 10  # single requests that one page of the list may replace


class _Messages:
    """Messages of the classic API."""

    name = "messages"
    few = FEW
    page = PAGE

    def listed(self, known: Mapping[str, Seen | None]) -> Flow[Mapping[str, Seen]]:
        """Newest first, as far back as the oldest was made, and no further than asking singly is dearer.

        Without a date filter, since that finds no message that is not sent yet.
        """
        found: dict[str, Seen] = {}
        made_at = [item.created_at for item in known.values() if item and item.created_at]
        start = min(made_at) if len(made_at) == len(known) else None
        call = messages.list(page_size=PAGE)
        for _ in range(1 + len(known) // WORTH):
            page = yield from made(call)
            found.update({row.sid: Seen.of(row) for row in page.items if row.sid in known})
            oldest = page.items[-1].date_created if page.items else None
            if page.next is None or len(found) == len(known) or (start and oldest and oldest < start):
                break
            call = page.next
        return found

    def observed(self, name: str) -> Flow[Seen | None]:
        return seen(name)


class TwilioMessagesTrigger(WaitingTrigger[Seen]):
    """Wait until messages have a status, or time is up, and tell how that ended in one event.

    Survives what Twilio and its network do for a while, and a restarted triggerer. The event is a
    :class:`~airflow_provider_twilio_comms._core.waiting.messages.MessageOutcome`.

    :param sids: the messages
    :param twilio_conn_id: the connection
    :param until: the status to wait for
    :param deadline: when time is up, in seconds since 1970
    :param since: from when on a 404 is tolerated for a minute, in seconds since 1970, or 0. Messages may be
        of any age
    :param poll_interval: seconds between polls; triggers of one connection and interval share them
    :param not_before: no event before this time, in seconds since 1970
    :param cancel_on_kill: cancel what is still scheduled when the task is failed from outside
    """

    source: ClassVar[Source[Any]] = _Messages()

    def __init__(
        self,
        sids: list[str],
        twilio_conn_id: str,
        until: str = "delivered",
        deadline: float = 0.0,
        since: float = 0.0,
        poll_interval: float = 30.0,
        not_before: float = 0.0,
        cancel_on_kill: bool = False,
    ) -> None:
        super().__init__(twilio_conn_id, deadline, since, poll_interval, not_before)
        self.sids = sids
        self.until = until
        self.cancel_on_kill = cancel_on_kill

    async def on_kill(self) -> None:
        """Cancel what is scheduled, where the author wants that and the task has really been failed."""
        await super().on_kill()
        if self.cancel_on_kill:
            await undisturbed(self._call_off())

    async def _call_off(self) -> None:
        state = await self.task_state()
        if state != "failed":
            self.log.info("Nothing is canceled, since the task is %s", state)
            return
        stopped, late = await TwilioHook(self.twilio_conn_id).arun(canceled(self.sids))
        self.log.warning("Canceled %d messages; too late for %d", len(stopped), len(late))

    async def task_state(self) -> str | None:
        """The state of the task that waits."""
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
        from asgiref.sync import sync_to_async

        ti: Any = self.task_instance
        states = await sync_to_async(RuntimeTaskInstance.get_task_states)(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        )
        found = next(iter(states.get(ti.run_id, {}).values()), None)
        return None if found is None else str(getattr(found, "value", found))

    def waiting(self) -> MessageWait:
        return MessageWait(self.sids, self.until, self.deadline, self.since)

    def progress(self, known: Mapping[str, Seen]) -> str:
        counts = Counter(item.status for item in known.values())
        return ", ".join(f"{name} {count:,}" for name, count in counts.items())


class _SentMessages:
    """Messages of classic bulk sends, by pages of the list that all who wait share."""

    name = "sent_messages"
    few = 0
    page = 0  # a look is dear: it goes through the list by itself

    def listed(self, known: Mapping[str, Tally | None]) -> Flow[Mapping[str, Tally | None]]:
        return look(known, read_sids)

    def observed(self, name: str) -> Flow[Tally | None]:
        return (yield from self.listed({name: None}))[name]


class TwilioSentMessagesTrigger(WaitingTrigger[Tally]):
    """Wait until the messages of a classic bulk send are processed or delivered, or time is up.

    It carries no SIDs, and reads them from the file that ``messages`` names, if there is one. Without it,
    rows of the message list count by sender and time, and the event says if these are exactly the messages
    that were sent.
    The event is a :class:`~airflow_provider_twilio_comms._core.waiting.sent_messages.SentOutcome`.

    :param messages: ``messages`` in the result of the send
    :param twilio_conn_id: the connection
    :param until: ``processed``, or ``delivered`` to wait for the receipts too
    :param deadline: when time is up, in seconds since 1970
    :param since: when the wait began, in seconds since 1970
    :param enough: the share or number of delivered messages that ends a wait for delivery early
    :param poll_interval: seconds between polls; triggers of one connection and interval share them
    :param not_before: no event before this time, in seconds since 1970
    """

    source: ClassVar[Source[Any]] = _SentMessages()

    def __init__(
        self,
        messages: dict[str, Any],
        twilio_conn_id: str,
        until: Until = "processed",
        deadline: float = 0.0,
        since: float = 0.0,
        enough: int | float | None = None,
        poll_interval: float = 30.0,
        not_before: float = 0.0,
    ) -> None:
        super().__init__(twilio_conn_id, deadline, since, poll_interval, not_before)
        self.messages = messages
        self.until = until
        self.enough = enough

    def waiting(self) -> SentWait:
        target = Target(SentMessages.of(self.messages), self.until)
        return SentWait(target, self.deadline, self.since, self.enough)

    def shown(self) -> str:
        return f"{self.messages['sent']:,} messages"

    def progress(self, known: Mapping[str, Tally]) -> str:
        return ", ".join(describe_counts(tally.stats) for tally in known.values())
