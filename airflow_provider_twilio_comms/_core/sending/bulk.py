"""Sending a plan once: the parts are its chunks, and each carries a tag that only this send has."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timezone
from typing import ClassVar

from airflow_provider_twilio_comms._core.planning.plan import Chunk, Plan
from airflow_provider_twilio_comms._core.sending.ledger import Ledger
from airflow_provider_twilio_comms._core.sending.send_once import LAG, SKEW, Found, Steps
from airflow_provider_twilio_comms._core.waiting.criteria import OnUnknown
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.api.wire import Call, Page
from airflow_provider_twilio_comms.exceptions import SendUncertain

__all__ = ["TAG", "Sending"]

log: logging.Logger = logging.getLogger(__name__)

TAG = "airflow_send"


class Sending(Steps[Chunk, messages.Accepted]):
    """A bulk send under way. ``make`` gives a chunk's call from the chunk, its tag and the time."""

    noun: ClassVar[str] = "chunk"

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        make: Callable[[Chunk, dict[str, str], float], Call[messages.Accepted]],
        on_unknown: OnUnknown = "fail",
        lag: float = LAG,
    ) -> None:
        super().__init__(ledger, on_unknown, lag)
        self.plan = plan
        self._make = make

    @property
    def operation_ids(self) -> list[str]:
        """Of every chunk that is sent, earlier tries' included."""
        return self.ids

    def parts(self) -> list[Chunk]:
        return self.plan.chunks

    def request(self, part: Chunk, time: float) -> Call[messages.Accepted]:
        return self._make(part, self._tags(part), time)

    def identity(self, reply: messages.Accepted) -> str | None:
        return reply.operation_id

    def look(self, part: Chunk, since: float | None) -> Flow[Found]:
        tags = self._tags(part)
        start = datetime.fromtimestamp(since - SKEW, timezone.utc) if since is not None else None
        call: Call[Page[messages.Message]] | None = messages.list(tags=tags, start_date=start, page_size=100)
        while call is not None:
            page = yield from made(call)
            # A filter that Twilio does not know is ignored, so each row has to show the tag itself.
            mine = [row.operation_id for row in page.items if (row.tags or {}).get(TAG) == tags[TAG]]
            if mine:
                return Found(mine)
            call = page.next
        return Found()

    def uncertain(self, part: Chunk, when: str) -> SendUncertain:
        key = self.ledger.key(part.number)
        return SendUncertain(
            f"chunk {part.number + 1} of {len(self.plan.chunks)} ({part.count:,} recipients) was given "
            f"to Twilio {when}, no reply came, and its list shows no message tagged {TAG}:{key}. Certainly "
            f"sent: {self.sent:,} recipients in {len(self.ids)} operations. This chunk was not "
            "sent again, and nothing after it was. Look for the tag in Twilio's console. Where it is there, "
            "run the task again: it will be found. Where it certainly is not, clear the task with "
            "on_unknown='resend'; on_unknown='assume_sent' goes on without it",
            part=f"chunk {part.number + 1}",
            key=key,
            tried=f"listed messages by tag for {self.lag:.0f} s",
            operation_ids=self.ids,
        )

    def told(self, part: Chunk, seconds: float) -> None:
        log.info(
            "Sent chunk %d of %d: %s of %s recipients, %s a second",
            part.number + 1,
            len(self.plan.chunks),
            f"{self.sent:,}",
            f"{self.plan.recipients:,}",
            f"{self.sent / max(seconds, 1e-3):,.0f}",
        )

    def _tags(self, chunk: Chunk) -> dict[str, str]:
        return {TAG: self.ledger.key(chunk.number)}
