"""What was sent, written down before and after each request, so that no later try sends it again.

The ledger lies in Airflow's task state store, which outlives retries, dead workers and clears: one small
value per chunk (a state, a hash, a count, an operation id), never a recipient. Where Airflow has no store
(before 3.3) the ledger is *blank*: it remembers nothing, and only Twilio's own list can tell what was sent.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec
from tenacity import Retrying, stop_after_delay, wait_random_exponential

from airflow_provider_twilio_comms.exceptions import RecipientsChanged, TwilioError

__all__ = ["Entry", "Ledger", "Store", "send_id"]

log: logging.Logger = logging.getLogger(__name__)

PATIENCE = 120.0  # seconds for which a write after a request is tried again
State = Literal["sending", "accepted", "assumed", "refused"]


class Entry(msgspec.Struct, omit_defaults=True, frozen=True):
    """What is known of a part. ``since`` is when its request was about to be made, in seconds since 1970."""

    state: State
    fingerprint: str
    count: int
    since: float = 0.0
    operation_id: str | None = None


class Store(Protocol):
    """Airflow's task state store, or anything with its two verbs."""

    def get(self, key: str, default: Any = None) -> Any: ...

    def set(self, key: str, value: Any, *, retention: Any = None) -> None: ...


def send_id(send_key: str, clear_number: int = 0) -> str:
    """A send's short name, fit for a tag: the same for every try of the same task instance.

    ``clear_number`` is 0 unless a clear is meant to send anew.
    """
    text = send_key if not clear_number else f"{send_key} clear {clear_number}"
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class Ledger:
    """The entries of one send, by part (a chunk's number).

    ``retried`` says that this is not the task's first try; ``forever`` is what the store wants to hear for a
    value that never expires; ``noun`` is what a person calls a part.
    """

    def __init__(
        self,
        store: Store | None,
        name: str,
        *,
        retried: bool,
        forever: Any = None,
        noun: str = "chunk",
    ) -> None:
        self._store = store
        self._forever = forever
        self.name = name
        self._noun = noun
        self._held = 0.0
        # Without a store, or with one that lost what an earlier try began, only Twilio can tell.
        self.blank: bool = retried and (store is None or self._read("begun") is None)

    def begin(self, parts: int, now: float) -> None:
        """Note that this send has a ledger, before its first request."""
        self._write("begun", {"parts": parts, "since": now})

    @property
    def begun(self) -> bool:
        """Whether an earlier try began to send."""
        return self._read("begun") is not None

    @property
    def held(self) -> float:
        """Until when Twilio holds the part that it holds longest, in seconds since 1970; 0 if none."""
        return max(self._held, float((self._read("held") or {}).get("until", 0.0)))

    def hold(self, until: float) -> None:
        """Note that a part is about to be scheduled for later, whenever this or a later try waits for it."""
        if until > self.held:
            self._held = until
            self._write("held", {"until": until})

    def key(self, part: int) -> str:
        """The tag value that a part's request carries."""
        return f"{self.name}.{part}"

    def entry(self, part: int, fingerprint: str | None) -> Entry | None:
        """What is known of a part. Raises :class:`RecipientsChanged` where it was another one then."""
        read = self._read(str(part))
        if read is None:
            return None
        entry = msgspec.convert(read, Entry)
        if entry.state != "refused" and entry.fingerprint != fingerprint:
            now = f"there is no such {self._noun} now" if fingerprint is None else "it is another one now"
            people = f"{entry.count:,} recipient{'s' if entry.count > 1 else ''}"
            raise RecipientsChanged(
                f"{self._noun} {part + 1} was {entry.state} on an earlier try ({people}): {now}. "
                "Nothing was sent by this try. Give the first try's recipients again, in the same order, or "
                "another send_key to send to these ones as well",
                field="recipients",
            )
        return entry

    def sending(self, part: int, fingerprint: str, count: int, now: float) -> None:
        """Write that a request is about to be made.

        This is the fence: where Airflow does not take the write (this try is no longer the live one, the API
        server is down), it raises and nothing may be posted.
        """
        try:
            self._write(str(part), msgspec.to_builtins(Entry("sending", fingerprint, count, since=now)))
        except Exception as error:  # whatever it is: what is not written down is not sent
            raise TwilioError(
                f"{self._noun} {part + 1}: Airflow's task state store does not take the note that it is "
                f"about to be sent, so nothing was posted ({type(error).__name__}: {error}). Either this try "
                "is no longer the live one, or the API server is not there; a later try sends what is missing"
            ) from error

    def settled(
        self, part: int, state: State, fingerprint: str, count: int, operation_id: str | None
    ) -> None:
        """Write how a request ended; tried again with patience, since it has happened."""
        entry = msgspec.to_builtins(Entry(state, fingerprint, count, operation_id=operation_id))
        Retrying(
            stop=stop_after_delay(PATIENCE),
            wait=wait_random_exponential(multiplier=0.5, max=15),
            before_sleep=lambda _: log.warning(
                "The ledger does not take %s %d yet, trying again", self._noun, part + 1
            ),
            reraise=True,
        )(self._write, str(part), entry)

    def _read(self, name: str) -> Any:
        return self._store.get(f"twilio.{self.name}.{name}") if self._store is not None else None

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        if self._store is None:
            return
        kept = {} if self._forever is None else {"retention": self._forever}
        self._store.set(f"twilio.{self.name}.{name}", dict(value), **kept)
