"""Waiting for the answer to a question, given by text or in Airflow, without a worker."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

from airflow.triggers.base import TriggerEvent

from airflow_provider_twilio_comms._core.approvals import Ballot, Vote, key_of
from airflow_provider_twilio_comms._core.inbound import InboundMessage, senders_of
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.triggers._watching import Round
from airflow_provider_twilio_comms.triggers.inbound import InboundWatcher

__all__ = ["TwilioReplyTrigger"]

LATE = 60.0  # seconds after the deadline for which a failing poll is tried again


class TwilioReplyTrigger(InboundWatcher):
    """Waits for the first answer that counts, and says in one event what it is.

    An answer given in Airflow resumes the task by itself, or is found here where it came before the task had
    begun to wait. Whichever Airflow hears of first is the one. After a restart the messages since the
    question are read again, with the same end.

    :param ti_id: the task instance that waits, as Airflow's human-in-the-loop knows it
    :param options: what may be answered
    :param salt: the question's name
    :param code_hash: the code, hashed
    :param voter_hashes: those who may answer, hashed
    :param sids: the messages by which was asked: the answers come to where they came from
    :param opened: when was asked, in seconds since 1970
    :param deadline: when time is up, in seconds since 1970
    :param defaults: what is chosen then; nothing where there is no default
    :param twilio_conn_id: the connection
    :param poll_interval: seconds between polls; all inbound watchers of a connection and interval share them
    :param not_before: no event before this time, in seconds since 1970
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
        self._receiver = ""
        self._finished = False
        self._heard: Mapping[Any, int] = {}

    @property
    def since(self) -> float:
        return self.opened

    @property
    def wants(self) -> str:
        return self._receiver

    @property
    def finished(self) -> bool:
        return self._finished

    async def begin(self) -> None:
        try:
            senders = await TwilioHook(self.twilio_conn_id).arun(senders_of(self.sids))
        except TwilioError as error:
            self.log.warning("All that comes in is read, since it is not known who asked: %s", error)
        else:
            self._receiver = senders.pop() if len(senders) == 1 else ""

    async def events(self, look: Round[InboundMessage]) -> Iterable[TriggerEvent]:
        if time.time() < self.not_before:
            return []
        vote = self._vote(look)
        payload = await self._answered(vote)
        if payload is None and vote is not None:
            payload = await self._chosen([vote.option], vote)
        if payload is None:
            payload = await self._over(look)
        self._finished = payload is not None
        return [] if payload is None else [TriggerEvent(payload)]

    def _vote(self, look: Round[InboundMessage]) -> Vote | None:
        if look.error is not None or look.config is None:
            self.log.warning("The poll failed, and is tried again: %s", look.error)
            return None
        ballot = Ballot(
            tuple(self.options),
            self.salt,
            self.code_hash,
            tuple(self.voter_hashes),
            self.opened,
            self.deadline,
        )
        vote, heard = ballot.judged(look.found, key_of(look.config))
        if heard != self._heard:
            self._heard = heard
            self.log.info("Replies so far: %s", ", ".join(f"{count} {kind}" for kind, count in heard.items()))
        return vote

    async def _over(self, look: Round[InboundMessage]) -> dict[str, Any] | None:
        if look.at < self.deadline + (LATE if look.error is not None else 0.0):
            return None
        if self.defaults is None:
            return {"error": "Nobody has answered in time.", "error_type": "timeout"}
        return await self._chosen(self.defaults, None)

    async def _chosen(self, options: list[str], vote: Vote | None) -> dict[str, Any] | None:
        """Write the choice down, unless somebody was quicker in Airflow; then theirs is the answer."""
        from airflow.sdk.execution_time.hitl import update_hitl_detail_response
        from asgiref.sync import sync_to_async

        try:
            await sync_to_async(update_hitl_detail_response)(UUID(self.ti_id), options, {})
        except Exception as error:
            self.log.info("The answer was not taken, and is looked for: %s", type(error).__name__)
            return await self._answered(vote)
        return _ours(options, vote)

    async def _answered(self, vote: Vote | None) -> dict[str, Any] | None:
        """What Airflow has as the answer. A user's resumes a waiting task itself, but not one about to wait.

        One without a user is ours: this trigger, or the one before it, did not get to telling.
        """
        from airflow.sdk.execution_time.hitl import get_hitl_detail_content_detail
        from asgiref.sync import sync_to_async

        try:
            known = await sync_to_async(get_hitl_detail_content_detail)(UUID(self.ti_id))
        except Exception as error:  # the API server may be away for a while
            self.log.warning("Whether Airflow has an answer is not known: %s", type(error).__name__)
            return None
        # dag.test() has no human-in-the-loop, and says nothing at all.
        if known is None or not known.response_received or not known.chosen_options:
            return None
        options, user = list(known.chosen_options), known.responded_by_user
        if user is None:
            return _ours(options, vote if vote is not None and [vote.option] == options else None)
        at = known.responded_at or datetime.now(timezone.utc)
        return {
            "chosen_options": options,
            "params_input": known.params_input or {},
            "responded_at": at.isoformat(),
            "responded_by_user": {"id": user.id, "name": user.name},
            "timedout": False,
        }


def _ours(options: list[str], vote: Vote | None) -> dict[str, Any]:
    """The event of an answer by text, or of the default."""
    at = datetime.now(timezone.utc) if vote is None else datetime.fromtimestamp(vote.date, timezone.utc)
    return {
        "chosen_options": options,
        "params_input": {},
        "responded_at": at.isoformat(),
        "responded_by_user": None,
        "timedout": vote is None,
        **({"voter": vote.voter, "sid": vote.sid} if vote else {}),
    }
