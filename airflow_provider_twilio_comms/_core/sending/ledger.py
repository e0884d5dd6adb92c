"""The ledger of a send: what was sent, noted before and after each request, so that no try repeats it.

It lies in Airflow's task state store, which outlives retries, dead workers and clears:

* ``twilio.ledger``: a head for each send of this task instance (hashes and counts of the plan, written before
  the first request), and whether the send is complete;
* ``twilio.<name>.<place>``: an entry for each part, in the order in which they were begun.

A part is known by its fingerprint, never by its place in a list, which may be another one at the next try.
The values are ids, hashes and counts, never recipients. Where Airflow has no store (before 3.3), or emptied
it when the task succeeded, the ledger is *blank*: it remembers nothing, and only Twilio's own list can tell
what was sent.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec
from tenacity import Retrying, stop_after_delay, wait_random_exponential

from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms.exceptions import RecipientsChanged, TwilioError

log: logging.Logger = logging.getLogger(__name__)

HEADS = "twilio.ledger"
PATIENCE = 120.0  # seconds for which a write after a request is tried again
State = Literal["sending", "accepted", "assumed", "refused"]


class Outline(msgspec.Struct, frozen=True, omit_defaults=True):
    """A plan as hashes and counts, to tell whether a later try has the same one.

    ``content`` is what goes to everyone, sender included; ``people`` does not depend on their order;
    ``parts`` is what is sent to whom in which request. ``rows`` were read, ``rejected`` of them are left out.
    """

    content: str
    people: str
    plan: str
    parts: int
    recipients: int
    rows: int = 0
    rejected: int = 0
    size: int = 1
    by_zone: bool = False
    variants: dict[str, int] = {}  # people by variant
    held_out: int = 0

    def changes(self, now: Outline) -> str:
        """Describe in words what has changed."""
        found = []
        if self.content != now.content:
            found.append("the message or its sender" + (", or the variants" if now.variants else ""))
        if self.people != now.people:
            found.append(f"the recipients ({self.recipients:,} then, {now.recipients:,} now)")
        if self.size != now.size:
            found.append(f"recipients_per_request ({self.size:,} then, {now.size:,} now)")
        if self.by_zone != now.by_zone:
            found.append("quiet_hours or local times, which sort the recipients by time zone")
        if not found and self.plan != now.plan:
            found.append("the order of the recipients")
        return " and ".join(found) or "nothing that is known of"


class Done(msgspec.Struct, frozen=True, omit_defaults=True):
    """A send that is complete: every part is settled. ``held`` is until when Twilio holds the last one.

    ``messages`` is what a send of many single messages leaves, in counts: see ``classic_bulk.py``.
    """

    parts: int
    recipients: int
    rejected: int = 0
    held: float = 0.0
    messages: dict[str, Any] | None = None


class Head(msgspec.Struct, omit_defaults=True):
    """A send of this task instance, noted before its first request.

    ``name`` is the send's in tags and keys; ``max_tries`` is the task instance's, which grows with a clear of
    it and with nothing else. ``outline`` is None, and ``old`` the number of places, for a ledger that the
    version before began. ``snapshot`` is the id of the plan that is kept. ``start`` is the moment from which
    the first try counted the times of its parts, where it did. ``blank`` says that the ledger was blank when
    this was noted, and ``ask`` that another task may have sent parts: what has no entry is looked for.
    """

    name: str
    max_tries: int
    generation: int = 0
    outline: Outline | None = None
    since: float = 0.0
    snapshot: str | None = None
    old: int = 0
    held: float = 0.0  # of the version before
    done: Done | None = None
    version: int = 2
    start: float | None = None
    blank: bool = False
    ask: bool = False


class Entry(msgspec.Struct, omit_defaults=True, frozen=True):
    """A part that was begun: ``place`` is its key, ``part`` its number in the plan of then.

    ``ends`` says that nothing was left to send after it, which holds though the try dies before it can note
    that the send is complete.

    ``since`` is when its request was about to be made, in seconds since 1970; ``held`` until when Twilio
    holds it.

    Where a part is a batch of single messages, ``messages`` has a place for each, in order: a SID; a number,
    Twilio's code for a recipient that it refused; or one of the marks below. Empty, nothing is known of any.
    ``people`` are hashes of the addresses, in the same order, where a batch is one of whoever came next;
    ``who`` is that of the only one, by the version before.
    """

    state: State
    fingerprint: str
    count: int
    since: float = 0.0
    operation_id: str | None = None
    part: int = 0
    who: str | None = None
    held: float = 0.0
    ends: bool = False
    old: bool = False  # begun by the version before, whose tags hold no fingerprint
    place: int = -1
    messages: list[str] = []
    people: list[str] = []

    @property
    def taken(self) -> int:
        """The count of recipients who were sent to, or are taken as sent to."""
        if self.messages:
            return sum(is_sid(each) or each == ASSUMED for each in self.messages)
        return self.count if self.state in ("accepted", "assumed") else 0

    @property
    def unknown(self) -> int:
        """The count of recipients with an unknown outcome."""
        if self.messages:
            return self.messages.count(UNKNOWN)
        return self.count if self.state == "sending" else 0


# Of a batch: not begun; begun, outcome unknown; taken as sent; not sent, since it may not be any more.
UNSENT, UNKNOWN, ASSUMED, BARRED = "", "?", "~", "-"


def is_sid(place: str) -> bool:
    """Tell whether a place of a batch holds a message's SID."""
    return place[:2] in ("SM", "MM")


def digest_of(sids: Iterable[str]) -> str:
    """A hash of SIDs in any order, to tell whether a list of messages holds exactly those of a send."""
    return f"{sum(int(sid[-16:], 16) for sid in sids) & (1 << 64) - 1:016x}"


class Store(Protocol):
    """Airflow's task state store, or anything with its two verbs."""

    def get(self, key: str, default: Any = None) -> Any: ...

    def set(self, key: str, value: Any, *, retention: Any = None) -> None: ...


def send_id(send_key: str, generation: int = 0) -> str:
    """A send's short name, fit for a tag. ``generation`` is 0 unless a clear was meant to send anew."""
    text = send_key if not generation else f"{send_key} generation {generation}"
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class Ledger:
    """The entries of one send.

    ``slot`` tells the sends of one task instance apart, and ``key`` (or what makes it) names this one over
    the account; ``owner`` is the task instance as a person calls it, and ``listed`` says that it is mapped
    over lists, which may be edited where they stand. ``anew``
    says that a clear of this task instance begins a new generation. ``retried`` says that this is not the
    first try; ``old_names`` are those that the version before may have used. ``forever`` is what the store
    wants to hear for a value that never expires, and ``forgets`` says that it is emptied when the task
    succeeds; ``noun`` is what a person calls a part.
    """

    def __init__(
        self,
        store: Store | None,
        key: str | Callable[[], str],
        *,
        retried: bool,
        owner: str = "this task",
        listed: bool = False,
        slot: str = "",
        max_tries: int = 0,
        anew: bool = False,
        old_names: Iterable[str] = (),
        forever: Any = None,
        forgets: bool = False,
        noun: str = "request",
    ) -> None:
        self._store = store
        self._forever = forever
        self._noun = noun
        self._request = "batch" if noun == "batch" else "request"
        self._slot = slot
        self._max_tries = max_tries
        self._entries: list[Entry] | None = None
        self._next = 0
        read = store.get(HEADS) if store is not None else None
        self._heads: dict[str, Any] = dict(read or {})
        head = msgspec.convert(self._heads[slot], Head) if slot in self._heads else None
        self.generation: int = head.generation if head else 0
        if head and anew and head.max_tries != max_tries:
            self.generation, head = head.generation + 1, None
        elif head is None and anew and (store is None or forgets):
            self.generation = max_tries
        elif head is None and retried and store is not None:
            head = self._taken_over(old_names)
        self.head: Head | None = head
        # Without a store, only Twilio can tell. One without a head means that nothing was begun, unless it
        # forgets what succeeded: then there was a clear, which may be meant to send again.
        lost = store is None or (forgets and not anew and not self._heads)
        self.blank: bool = head.blank if head else retried and lost
        self.owner = owner
        self._listed = listed
        if head is None:
            key = key if isinstance(key, str) else key()  # making it may take a request
        self.name: str = head.name if head else send_id(str(key), self.generation)
        self.place: str = send_id(
            f"{owner} {slot}", self.generation
        )  # of what is kept for this task instance

    @property
    def begun(self) -> bool:
        """Tell if an earlier try began to send."""
        return self.head is not None

    @property
    def done(self) -> Done | None:
        """The counts of a send that is complete; None where something is still to be sent."""
        if self.head is None:
            return None
        if self.head.done or not any(entry.ends for entry in self.entries()):
            return self.head.done
        taken = [entry for entry in self.entries() if entry.state == "accepted"]
        rejected = self.head.outline.rejected if self.head.outline else 0
        held = max(entry.held for entry in taken)
        return Done(len(taken), sum(entry.count for entry in taken), rejected, held)

    @property
    def others(self) -> bool:
        """Tell if this task instance has begun another send, as a mapped one whose list has shifted has."""
        return bool(self._heads.keys() - {self._slot})

    @property
    def replaced(self) -> bool:
        """Tell if this map index has begun to send another list, of which this one may be an edition."""
        return self._listed and self.others and not self.begun

    @property
    def ids(self) -> list[str]:
        """Twilio's ids of all that was accepted."""
        found: list[str] = []
        for entry in self.entries():
            named = filter(is_sid, entry.messages) if entry.people else [entry.operation_id]
            found.extend(filter(None, named))
        return found

    def sids(self) -> Iterator[str]:
        """The SIDs of all single messages that were sent in batches."""
        for entry in self.entries():
            yield from filter(is_sid, entry.messages)

    @property
    def held(self) -> float:
        """Until when Twilio holds the part that it holds longest, in seconds since 1970; 0 if none."""
        noted = max(self.done.held if self.done else 0.0, self.head.held if self.head else 0.0)
        return max(noted, *(entry.held for entry in self.entries()), 0.0)

    def entries(self) -> list[Entry]:
        """Every part that was begun, in the order in which they were."""
        if self._entries is None:
            self._entries = []
            while self.head is not None:
                read = self._get(f"twilio.{self.name}.{self._next}")
                old = self._next < self.head.old
                if read is None and not old:
                    break
                if read is not None:
                    entry = msgspec.convert(read, Entry)
                    part = self._next if old else entry.part
                    self._entries.append(msgspec.structs.replace(entry, place=self._next, old=old, part=part))
                self._next += 1
        return self._entries

    def tag(self, part: int, fingerprint: str, *, old: bool = False) -> str:
        """The tag value of a part's request: the send, the part, and what is in it."""
        return f"{self.name}.{part}" if old else f"{self.name}.{part}.{fingerprint}"

    def check(self, outline: Outline, gone: Sequence[Entry], free: int) -> None:
        """Raises :class:`RecipientsChanged` where an earlier try began something else than this plan.

        ``gone`` are the parts that were taken, or may have been, and that the plan does not hold; of the rows
        read then, only ``free`` may be missing now: nobody who is not sent yet may be gone in silence.
        """
        was = self.head.outline if self.head else None
        if gone:
            raise self.changed(outline, gone)
        if was is None:
            return
        taken = any(entry.state != "refused" for entry in self.entries())
        if (taken and was.content != outline.content) or outline.rows < was.rows - free:
            raise self.changed(outline)

    def changed(self, now: Outline | None, gone: Sequence[Entry] = ()) -> RecipientsChanged:
        """The error that says what is another one now, and what was sent."""
        was = self.head.outline if self.head else None
        if was is None:
            what = "the recipients, their order or the message"
        elif now is None:
            what = f"the recipients ({was.recipients:,} then, none now)"
        else:
            what = was.changes(now)
        taken = [entry for entry in self.entries() if entry.taken]
        unknown = sum(entry.unknown for entry in self.entries())
        first = f"; {self._noun} {gone[0].part + 1} was {gone[0].state}" if gone else ""
        requests = sum(entry.taken if entry.people else 1 for entry in taken)
        text = (
            f"an earlier try began this send, and since then there changed: {what}{first}. That try sent to "
            f"{pluralize(sum(entry.taken for entry in taken), 'recipient')} in "
            f"{pluralize(requests, self._request)}"
        )
        if unknown:
            text += f", and for {unknown:,} more the outcome is unknown"
        return RecipientsChanged(
            f"{text}. This try sent nothing. Run the task again with what that try was given, and it goes on "
            "from there; to leave somebody out, name them in suppress. With snapshot_path a later try keeps "
            "to the first one's plan, whatever its source says by then",
            field="recipients",
        )

    def begin(
        self,
        outline: Outline,
        now: float,
        snapshot: str | None = None,
        start: float | None = None,
        ask: bool = False,
    ) -> None:
        """Note the plan before the first request; an earlier try's note stays."""
        if self.head is not None:
            if self._slot not in self._heads:  # it was taken over from the version before
                self._write_head(self.head)
            return
        self._write_head(
            Head(
                self.name,
                self._max_tries,
                self.generation,
                outline,
                now,
                snapshot,
                start=start,
                blank=self.blank,
                ask=ask,
            )
        )

    def finish(self, recipients: int, rejected: int, messages: dict[str, Any] | None = None) -> None:
        """Note that every part is settled. A later try then only waits."""
        if self.head is None or self.head.done:
            return
        done = Done(len(self.entries()), recipients, rejected, self.held, messages)
        self._write_head(msgspec.structs.replace(self.head, done=done))

    def sending(self, entry: Entry, part: str) -> Entry:
        """Write that a request is about to be made; returns the entry with its place.

        This is the fence: where Airflow does not take the write (this try is no longer the live one, the API
        server is down), it raises and nothing may be posted.
        """
        entries = self.entries()
        if entry.place < 0:
            entry = msgspec.structs.replace(entry, place=self._next)
        try:
            self._write(entry)
        except Exception as error:  # whatever it is: what is not written down is not sent
            raise TwilioError(
                f"{part}: Airflow's task state store does not take the note that it is "
                f"about to be sent, so nothing was posted ({type(error).__name__}: {error}). Either this try "
                "is no longer the live one, or the API server is not there; a later try sends what is missing"
            ) from error
        if entry.place == self._next:
            self._next += 1
            entries.append(entry)
        return entry

    def settled(self, entry: Entry) -> None:
        """Write how a request ended; tried again for a while, since it has happened."""
        Retrying(
            stop=stop_after_delay(PATIENCE),
            wait=wait_random_exponential(multiplier=0.5, max=15),
            before_sleep=lambda _: log.warning(
                "The ledger does not take %s %d yet, trying again", self._noun, entry.part + 1
            ),
            reraise=True,
        )(self._write, entry)
        entries = self.entries()
        for index in range(len(entries) - 1, -1, -1):  # it is one of the last
            if entries[index].place == entry.place:
                entries[index] = entry
                return

    def _taken_over(self, names: Iterable[str]) -> Head | None:
        """The head of a ledger that the version before began, which knew parts by their place."""
        for name in names:
            begun = self._get(f"twilio.{name}.begun")
            if begun:
                held = float((self._get(f"twilio.{name}.held") or {}).get("until", 0.0))
                log.info("An earlier version of this package began this send: going on from there")
                since, parts = float(begun["since"]), int(begun["parts"])
                return Head(name, self._max_tries, since=since, old=parts, held=held)
        return None

    def _get(self, key: str) -> Any:
        return self._store.get(key) if self._store is not None else None

    def _write_head(self, head: Head) -> None:
        self._heads[self._slot] = msgspec.to_builtins(head)
        self._set(HEADS, self._heads)
        self.head = head

    def _write(self, entry: Entry) -> None:
        value = msgspec.to_builtins(msgspec.structs.replace(entry, place=-1, old=False))
        self._set(f"twilio.{self.name}.{entry.place}", value)

    def _set(self, key: str, value: Mapping[str, Any]) -> None:
        if self._store is None:
            return
        kept = {} if self._forever is None else {"retention": self._forever}
        self._store.set(key, dict(value), **kept)
