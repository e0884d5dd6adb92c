"""Idempotency keys of the author's own: the same key, content and people are sent once over the account.

A note in a place that every task of this Airflow can read (its Variables) says who holds a key, what was sent
under it, and with which ids at Twilio. It is taken before the first request and holds for as long as Twilio
keeps results. There is no atomic "create" among Variables: who takes a key writes, waits, and reads again.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from airflow_provider_twilio_comms._core.sending.ledger import Outline
from airflow_provider_twilio_comms.api.flows import Flow, now, waited
from airflow_provider_twilio_comms.exceptions import RecipientsChanged, TwilioError

KEPT = 7 * 86_400.0  # seconds for which Twilio's lists go back
SETTLE = 2.0  # seconds between a write and the look whether it held


class Notes(Protocol):
    """A place that every task of this Airflow reads and writes. Raises :class:`TwilioError` where it "
    "fails."""

    def read(self, name: str) -> str | None: ...

    def write(self, name: str, text: str) -> None: ...


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """The holder of an idempotency key: since when, what is sent, and once complete, Twilio's ids."""

    owner: str
    claim: str
    at: float
    outline: Outline
    done: bool = False
    ids: list[str] = []


@dataclass
class SharedKey:
    """A key that ``owner`` (a task instance) wants to send under; ``name`` is the send's.

    Without ``notes`` only Twilio's lists tell what was sent under it.
    """

    notes: Notes | None
    name: str
    owner: str
    patience: float = 90.0  # seconds for which another task is waited for that is sending
    settle: float = SETTLE
    _claim: str = field(default_factory=lambda: secrets.token_hex(8))
    _note: Note | None = None

    def take(self, outline: Outline) -> Flow[Note | None]:
        """Take the key. Returns the note of a send that is complete already, or None: then it is ours.

        Raises :class:`RecipientsChanged` where something else was sent under it, and :class:`TwilioError`
        where another task is sending right now.
        """
        began = yield from now()
        while self.notes is not None:
            time = yield from now()
            note = self._read(time)
            if note is None:
                note = yield from self._write(outline, time)
                if note is not None:
                    self._note = note
                    return None
                continue
            if note.owner == self.owner and not note.done:
                self._note = note
                return None
            if note.outline.content != outline.content or note.outline.plan != outline.plan:
                raise self._taken(note, outline)
            if note.done:
                return note
            if time >= began + self.patience:
                raise TwilioError(
                    f"{note.owner} holds this send_key and has not finished sending. This try of "
                    f"{self.owner} sent nothing. A later try finds what it sent; if it has failed for good, "
                    "clear that task"
                )
            yield from waited(min(5.0, max(0.1, self.patience / 10)))
        return None

    def finish(self, ids: list[str]) -> None:
        """Note that everything is sent, also where an earlier try took the key."""
        note = self._note or self._read(0.0)
        if note is not None and note.owner == self.owner:
            self._put(msgspec.structs.replace(note, done=True, ids=ids))

    def _write(self, outline: Outline, time: float) -> Flow[Note | None]:
        """Write a note and look whether it held; None where it did not."""
        note = Note(self.owner, self._claim, time, outline)
        self._put(note)
        written = yield from now()
        # Whoever wrote late may have written over a note that another one has seen hold.
        slow = written - time > self.settle / 2
        time = yield from waited(self.settle * (10 if slow else 1))
        found = self._read(time)
        return note if found is not None and found.claim == self._claim else None

    def _read(self, time: float) -> Note | None:
        text = self.notes.read(self.name) if self.notes else None
        try:
            note = msgspec.json.decode(text, type=Note) if text else None
        except msgspec.MsgspecError:
            return None
        return note if note is not None and time - note.at < KEPT else None

    def _put(self, note: Note) -> None:
        if self.notes is not None:
            self.notes.write(self.name, msgspec.json.encode(note).decode())

    def _taken(self, note: Note, outline: Outline) -> RecipientsChanged:
        return RecipientsChanged(
            f"{note.owner} used this send_key for another send: since then there changed "
            f"{note.outline.changes(outline)}. This try of {self.owner} sent nothing. Give {self.owner} a "
            "send_key of its own if its send is another one, or what the other task was given if it is "
            "the same",
            field="send_key",
        )
