"""Wait for the answer to a question, given by text or in Airflow, without a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import airflow.sdk.exceptions
from airflow.triggers.base import TriggerEvent

from airflow_provider_twilio_comms._core.approvals import (
    MOST_WRONG,
    Ballot,
    Tally,
    Vote,
    key_of,
    texted_codes,
)
from airflow_provider_twilio_comms._core.inbound import InboundMessage, origin_of
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.triggers._watching import Round
from airflow_provider_twilio_comms.triggers.inbound import LAG, InboundWatcher

__all__ = ["TwilioReplyTrigger"]

T = TypeVar("T")

LATE = 60.0  # seconds after the deadline in which an answer in time may still turn up in Twilio's list
SKEW = 300.0  # seconds by which a worker's clock may differ from Twilio's
LOOK_UP = 10.0  # seconds for looking up which codes a suspect was texted
# Seconds between two questions to Airflow. From 3.3 on an answer there resumes a waiting task by itself, and
# only one from before the wait has to be found.
ASK_AIRFLOW = 60.0 if hasattr(airflow.sdk.exceptions, "TaskAwaitingInput") else 0.0

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


class TwilioReplyTrigger(InboundWatcher):
    """Wait for the first answer that counts, and fire one event that says what it is.

    An answer given in Airflow resumes the task by itself, or is found here where it came before the task had
    begun to wait. Whichever Airflow hears of first is the one. After a restart the messages since the
    question are read again, with the same result; otherwise each is judged once.

    Twilio's list lags, so the default is taken only ``LATE`` seconds after the deadline (or, for a question
    that was open for less, after as long again): an answer counts by Twilio's date, not by when it is seen.

    :param ti_id: the task instance that waits, as Airflow's human-in-the-loop knows it
    :param options: what may be answered
    :param salt: the question's name
    :param code_hash: the code, hashed
    :param voter_hashes: those who may answer, hashed
    :param sids: the messages that asked: the answers come to where they came from
    :param opened: when the question was asked, in seconds since 1970, by the worker's clock
    :param deadline: when time is up, in seconds since 1970, by the worker's clock
    :param defaults: the choice when time is up; nothing where there is no default
    :param twilio_conn_id: the connection
    :param poll_interval: seconds between polls; all inbound watchers of a connection and interval share them
    :param not_before: no event before this time, in seconds since 1970
    :param code_digits: the length of the code; 0 where an earlier version did not store it
    """

    def __init__(
        self,
        ti_id: str,
        options: list[str],
        salt: str,
        code_hash: str,
        voter_hashes: list[str],
        sids: list[str],
        opened: float,
        deadline: float,
        defaults: list[str] | None = None,
        twilio_conn_id: str = "twilio_default",
        poll_interval: float = 10.0,
        not_before: float = 0.0,
        code_digits: int = 0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ti_id = ti_id
        self.options = options
        self.salt = salt
        self.code_hash = code_hash
        self.voter_hashes = voter_hashes
        self.sids = sids
        self.opened = opened
        self.deadline = deadline
        self.defaults = defaults
        self.twilio_conn_id = twilio_conn_id
        self.poll_interval = poll_interval
        self.not_before = not_before
        self.code_digits = code_digits
        self._receiver = ""
        self._finished = False
        self._tally = self._tally_from(opened - SKEW, deadline)
        self._cursor = opened - SKEW
        self._read = 0
        self._asked_airflow_at = float("-inf")

    @property
    def since(self) -> float:
        return self._cursor

    @property
    def wants(self) -> str:
        return self._receiver

    @property
    def finished(self) -> bool:
        return self._finished

    async def begin(self) -> None:
        """Look up by whom and when the question was asked, by Twilio's clock, which dates the answers too."""
        try:
            origin = await TwilioHook(self.twilio_conn_id).arun(origin_of(self.sids))
        except TwilioError as error:
            self.log.warning(
                "All inbound messages are read, since the question's sender is not known: %s", error
            )
            return
        self._receiver = next(iter(origin.senders)) if len(origin.senders) == 1 else ""
        if origin.first is not None:
            self._cursor = min(self.opened, origin.first)
            slow = min(max(0.0, origin.first - self.opened), SKEW)
            self._tally = self._tally_from(self._cursor, self.deadline + slow)

    async def events(self, look: Round[InboundMessage]) -> Iterable[TriggerEvent]:
        if time.time() < self.not_before:
            return []
        vote, payload = await self._count(look), None
        over = self._is_over(look)
        if vote is not None or over or look.at - self._asked_airflow_at >= ASK_AIRFLOW:
            payload = await self._answer_of_airflow(vote)
        if payload is None and vote is not None:
            payload = await self._choose([vote.option], vote)
        if payload is None and over:
            payload = await self._choose_default()
        self._finished = payload is not None
        return [] if payload is None else [TriggerEvent(payload)]

    def _tally_from(self, opened: float, deadline: float) -> Tally:
        return Tally(
            Ballot(
                tuple(self.options),
                self.salt,
                self.code_hash,
                tuple(self.voter_hashes),
                opened,
                deadline,
                self.code_digits,
            )
        )

    async def _count(self, look: Round[InboundMessage]) -> Vote | None:
        """Judge new replies: a slice at a time, and one trigger at a time, to keep the event loop free."""
        if look.error is not None or look.config is None:
            return self._tally.vote
        key, before = key_of(look.config), self._tally.kinds.copy()
        async with _turn():
            since = int(self._cursor)
            self._tally.add(each for each in look.found if each.read > self._read and each.date >= since)
        while self._tally.pending:
            async with _turn():
                self._tally.judge(key)
            await asyncio.sleep(0)  # a lock that nobody waits for gives no other task its turn
            if self._tally.suspect is not None and not await self._look_up(self._tally.suspect, key):
                break
        if look.found:
            self._read = max(self._read, max(each.read for each in look.found))
            self._cursor = max(self._cursor, look.found[-1].date - LAG)
        if self._tally.kinds != before:
            told = ", ".join(f"{count} {kind}" for kind, count in self._tally.kinds.items())
            self.log.info("Replies so far: %s", told)
        return self._tally.vote

    async def _look_up(self, suspect: str, key: str) -> bool:
        """Find out which codes answer other questions; returns False where that has to be tried again."""
        silenced = len(self._tally.silenced)
        try:
            look_up = TwilioHook(self.twilio_conn_id).arun(texted_codes(suspect))
            codes = await asyncio.wait_for(look_up, LOOK_UP)
        except (TwilioError, asyncio.TimeoutError) as error:
            self.log.warning(
                "A voter sent %d wrong codes. The codes of other questions to that voter could not be read "
                "(%s); replies are judged further once they are",
                MOST_WRONG,
                type(error).__name__,
            )
            return False
        self._tally.excuse(key, codes)
        if len(self._tally.silenced) > silenced:
            self.log.warning(
                "A voter sent %d wrong codes and is no longer heard. The question can still be answered in "
                "Airflow, under Required Actions, or by another voter",
                MOST_WRONG,
            )
        return True

    def _is_over(self, look: Round[InboundMessage]) -> bool:
        """Tell if no answer in time can turn up any more. A failed poll gives the next ones a chance."""
        late = min(LATE, self.deadline - self.opened)
        return look.at >= self._tally.ballot.deadline + late + (LATE if look.error is not None else 0.0)

    async def _choose_default(self) -> dict[str, Any] | None:
        if self.defaults is not None:
            return await self._choose(self.defaults, None)
        unheard = len(self._tally.silenced)
        why = f" Voters no longer heard after {MOST_WRONG} wrong codes: {unheard}." if unheard else ""
        return {"error": f"Nobody has answered in time.{why}", "error_type": "timeout"}

    async def _choose(self, options: list[str], vote: Vote | None) -> dict[str, Any] | None:
        """Write the choice down, unless somebody was quicker in Airflow; then theirs is the answer."""
        from airflow.sdk.execution_time.hitl import update_hitl_detail_response

        try:
            await _in_thread(lambda: update_hitl_detail_response(UUID(self.ti_id), options, {}))
        except Exception as error:
            self.log.info(
                "Airflow did not take the answer (%s); the one that it has is read", type(error).__name__
            )
            return await self._answer_of_airflow(vote)
        return self._event(options, vote)

    async def _answer_of_airflow(self, vote: Vote | None) -> dict[str, Any] | None:
        """Read the answer that Airflow has: a user's resumes a waiting task, but not one about to wait.

        One without a user is ours: this trigger, or the one before it, did not get to firing its event.
        """
        from airflow.sdk.execution_time.hitl import get_hitl_detail_content_detail

        try:
            known = await _in_thread(lambda: get_hitl_detail_content_detail(UUID(self.ti_id)))
        except Exception as error:  # the API server may be away for a while
            self.log.warning(
                "Airflow could not be asked for an answer, and will be again: %s", type(error).__name__
            )
            return None
        self._asked_airflow_at = time.time()
        # dag.test() has no human-in-the-loop, and says nothing at all.
        if known is None or not known.response_received or not known.chosen_options:
            return None
        options, user = list(known.chosen_options), known.responded_by_user
        if user is None:
            return self._event(options, vote if vote is not None and [vote.option] == options else None)
        at = known.responded_at or datetime.now(timezone.utc)
        return {
            "chosen_options": options,
            "params_input": known.params_input or {},
            "responded_at": at.isoformat(),
            "responded_by_user": {"id": user.id, "name": user.name},
            "timedout": False,
        }

    def _event(self, options: list[str], vote: Vote | None) -> dict[str, Any]:
        """The event of an answer by text, or of the default. It names the voter by hash."""
        at = datetime.now(timezone.utc) if vote is None else datetime.fromtimestamp(vote.date, timezone.utc)
        answered = {"chosen_options": options, "params_input": {}, "responded_at": at.isoformat()}
        if vote is None:
            return {**answered, "responded_by_user": None, "timedout": True}
        voter = {"voter": vote.voter, "voter_hash": self.voter_hashes[vote.voter], "question": self.salt}
        return {**answered, "responded_by_user": None, "timedout": False, **voter, "sid": vote.sid}


def _turn() -> asyncio.Lock:
    """The lock under which this loop's triggers judge replies, one after the other."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())


async def _in_thread(do: Callable[[], T]) -> T:
    """Call Airflow in a thread of its own: the thread-sensitive one is shared by the whole triggerer."""
    from asgiref.sync import sync_to_async

    return await sync_to_async(do, thread_sensitive=False)()
