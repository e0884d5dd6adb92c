"""Sending once: every chunk of a plan goes out, and none goes out twice.

Twilio has no idempotency key for messages. In its place each chunk carries a tag that only this send has,
and the ledger is written before and after each request:

* an *accepted* chunk is skipped;
* a chunk that was about to be sent when something died is looked up at Twilio by its tag, for a while, since
  lists lag;
* what stays unknown is the author's choice: stop and say so, send again, or take it as sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Literal

from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.api.flows import Flow, every_item, made, now, waited
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.client.retry import untouched
from airflow_provider_twilio_comms.exceptions import ApiError, SendUncertain, TransportFailed
from airflow_provider_twilio_comms.sending.ledger import Entry, Ledger
from airflow_provider_twilio_comms.sending.plan import Chunk, Plan

__all__ = ["TAG", "OnUnknown", "Sending"]

log = logging.getLogger(__name__)

TAG = "airflow_send"
OnUnknown = Literal["fail", "resend", "assume_sent"]
LAG = 90.0  # seconds by which a list may be late, and after which an absence counts
SKEW = 300.0  # seconds by which two clocks may differ
CHECKS = (1.0, 2.0, 4.0, 8.0, 15.0)  # seconds between look-ups; the last one repeats


@dataclass
class Sending:
    """One send under way.

    ``request`` makes a chunk's call from its recipients and tag; ``lag`` is for how long an absence from
    Twilio's list proves nothing.
    """

    plan: Plan
    ledger: Ledger
    request: Callable[[Chunk, dict[str, str]], Call[messages.Accepted]]
    on_unknown: OnUnknown = "fail"
    lag: float = LAG
    operation_ids: list[str] = field(default_factory=list)
    sent: int = 0

    def once(self) -> Flow[list[str]]:
        """Send what is not sent yet; returns every operation id, earlier tries' included.

        Raises :class:`RecipientsChanged` before anything is sent, :class:`SendUncertain` where only a person
        can tell, and whatever Twilio refuses.
        """
        chunks = self.plan.chunks
        entries = [self.ledger.entry(chunk.number, chunk.fingerprint) for chunk in chunks]
        self.ledger.entry(len(chunks), None)  # the first try's list may have been longer
        began = yield from now()
        self.ledger.begin(len(chunks), began)
        for chunk, entry in zip(chunks, entries, strict=True):
            yield from self._chunk(chunk, entry)
            time = yield from now()
            self._tell(chunk, time - began)
        return self.operation_ids

    def _chunk(self, chunk: Chunk, entry: Entry | None) -> Flow[None]:
        if entry and entry.state in ("accepted", "assumed"):
            self._count(chunk, entry.operation_id)
            log.info("Chunk %d was sent on an earlier try", chunk.number + 1)
            return
        if entry and entry.state == "sending":
            if (yield from self._reconciled(chunk, entry.since, "on an earlier try")):
                return
        elif not entry and self.ledger.blank:
            time = yield from now()
            if (yield from self._found(chunk, since=time, known=False)):
                return
            self.ledger.blank = False  # chunks go out in order: what follows was not sent either
        yield from self._send(chunk)

    def _send(self, chunk: Chunk, again: bool = False) -> Flow[None]:
        time = yield from now()
        call = self.request(chunk, {TAG: self.ledger.key(chunk.number)})
        self.ledger.sending(chunk.number, chunk.fingerprint, chunk.count, time)
        try:
            accepted = yield from made(call)
        except SendUncertain as error:
            log.warning("Chunk %d: %s", chunk.number + 1, error)
            if not (yield from self._reconciled(chunk, time, "just now", may_resend=not again)):
                yield from self._send(chunk, again=True)
        except (ApiError, TransportFailed) as error:
            if untouched(error) or (isinstance(error, ApiError) and error.status < 500):
                self._settle(chunk, "refused", None)
            raise
        else:
            if accepted.operation_id is None:
                log.warning("Chunk %d: Twilio took it and named no operation", chunk.number + 1)
                if (yield from self._found(chunk, since=time, known=True)):
                    return
            self._accept(chunk, accepted.operation_id)

    def _reconciled(self, chunk: Chunk, since: float, when: str, may_resend: bool = True) -> Flow[bool]:
        """Settle a chunk of unknown outcome. Returns whether it is settled; if not, it may be sent again."""
        if (yield from self._found(chunk, since, known=True)):
            return True
        if self.on_unknown == "assume_sent":
            log.warning("Chunk %d: taken as sent, as on_unknown='assume_sent' says", chunk.number + 1)
            self._settle(chunk, "assumed", None)
            self._count(chunk, None)
            return True
        if self.on_unknown == "resend" and may_resend:
            log.warning("Chunk %d: sent again, as on_unknown='resend' says", chunk.number + 1)
            return False
        key = self.ledger.key(chunk.number)
        raise SendUncertain(
            f"chunk {chunk.number + 1} of {len(self.plan.chunks)} ({chunk.count:,} recipients) was given "
            f"to Twilio {when}, no reply came, and its list shows no message tagged {TAG}:{key}. Certainly "
            f"sent: {self.sent:,} recipients in {len(self.operation_ids)} operations. This chunk was not "
            "sent again, and nothing after it was. Look for the tag in Twilio's console. Where it is there, "
            "run the task again: it will be found. Where it certainly is not, clear the task with "
            "on_unknown='resend'; on_unknown='assume_sent' goes on without it",
            part=f"chunk {chunk.number + 1}",
            key=key,
            tried=f"listed messages by tag for {self.lag:.0f} s",
            operation_ids=self.operation_ids,
        )

    def _found(self, chunk: Chunk, since: float, *, known: bool) -> Flow[bool]:
        """Look for a chunk's tag at Twilio, until an absence counts, and take it as sent if it is there.

        ``known`` says that the request was certainly made at ``since``; otherwise any time before it will do.
        """
        tags = {TAG: self.ledger.key(chunk.number)}
        start = datetime.fromtimestamp(since - SKEW, timezone.utc) if known else None
        lookup = messages.list(tags=tags, start_date=start, page_size=50)
        checks = iter(CHECKS)
        pause = 0.0
        while True:
            time = yield from waited(pause)
            rows = yield from every_item(lookup, limit=1000)
            # A filter that Twilio does not know is ignored, so each row has to show the tag itself.
            mine = [row for row in rows if (row.tags or {}).get(TAG) == tags[TAG]]
            if mine:
                self._accept(chunk, next((row.operation_id for row in mine if row.operation_id), None))
                log.info("Chunk %d was found at Twilio by its tag", chunk.number + 1)
                return True
            if time >= since + self.lag:
                return False
            pause = min(next(checks, CHECKS[-1]), max(0.1, since + self.lag - time))

    def _accept(self, chunk: Chunk, operation_id: str | None) -> None:
        log.info("Twilio accepted chunk %d as %s", chunk.number + 1, operation_id)  # first of all
        self._count(chunk, operation_id)
        self._settle(chunk, "accepted", operation_id)

    def _count(self, chunk: Chunk, operation_id: str | None) -> None:
        self.sent += chunk.count
        if operation_id:
            self.operation_ids.append(operation_id)

    def _settle(
        self, chunk: Chunk, state: Literal["accepted", "assumed", "refused"], operation_id: str | None
    ) -> None:
        self.ledger.settled(chunk.number, state, chunk.fingerprint, chunk.count, operation_id)

    def _tell(self, chunk: Chunk, seconds: float) -> None:
        log.info(
            "Sent chunk %d of %d: %s of %s recipients, %s a second",
            chunk.number + 1,
            len(self.plan.chunks),
            f"{self.sent:,}",
            f"{self.plan.recipients:,}",
            f"{self.sent / max(seconds, 1e-3):,.0f}",
        )
