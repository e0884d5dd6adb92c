"""Consent: who opted out of messages (STOP), who came back (START), and through what, as rows of a table.

A row is an event, named by what it tells, so that an event that is read twice is one row. Whether a person
has opted out follows from the times of their events, in whatever order these were read: from the newest.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Literal, Protocol

import msgspec

from airflow_provider_twilio_comms.api.classic.messages import Message
from airflow_provider_twilio_comms.api.error_codes import Verdict, verdict
from airflow_provider_twilio_comms.exceptions import InvalidInput

Kind = Literal["stop", "start"]

# https://help.twilio.com/articles/223134027 and, of the French ones, https://www.twilio.com/docs/proxy/opt-out-keywords
STOP_WORDS = frozenset(
    {
        "stop",
        "stopall",
        "unsubscribe",
        "cancel",
        "end",
        "quit",
        "revoke",
        "optout",
        "arret",
        "arrete",
        "arrett",
    }
)
START_WORDS = frozenset({"start", "yes", "unstop"})
# Events that are no person's: a hash by which the key of all hashes is known again, and how far was read.
KEY, CURSOR = "key", "cursor"


class ConsentEvent(msgspec.Struct, frozen=True):
    """A row of the table: ``kind`` is ``stop`` or ``start``, ``person`` a number or its keyed hash.

    ``source`` is ``inbound``, ``webhook``, ``receipt``, ``send``, ``deactivated`` or ``query``; ``code`` is
    Twilio's, where an error told it. ``happened_at`` is in UTC.
    """

    event_id: str
    kind: str
    person: str
    happened_at: datetime
    source: str
    code: int | None = None


def event(kind: str, person: str, at: datetime, source: str, code: int | None = None) -> ConsentEvent:
    """Make an event, in whole seconds, named by all that it tells."""
    at = at.astimezone(timezone.utc).replace(microsecond=0)
    told = "|".join((kind, person, at.isoformat(), source, str(code or "")))
    return ConsentEvent(hashlib.sha256(told.encode()).hexdigest()[:40], kind, person, at, source, code)


class Words:
    """Keywords of people who refuse or come back: Twilio's, and the author's own ``{"stop": [...]}``."""

    def __init__(self, more: Mapping[str, Iterable[str]] | None = None) -> None:
        found: dict[str, Kind] = {}
        found.update(dict.fromkeys(START_WORDS, "start"))
        found.update(dict.fromkeys(STOP_WORDS, "stop"))
        for kind, words in (more or {}).items():
            if kind not in ("stop", "start") or isinstance(words, str):
                fix = 'Give {"stop": ["BASTA"], "start": ["OUI"]}'
                raise InvalidInput.at("words", "are not lists of words by stop and start", fix)
            found.update({_plain(word): kind for word in words})  # type: ignore[misc]
        self._kinds = found

    def kind_of(self, text: str | None) -> Kind | None:
        """Read a text that is a keyword and nothing else; accents and capitals do not matter."""
        return self._kinds.get(_plain(text)) if text else None


def _plain(text: str) -> str:
    bare = unicodedata.normalize("NFKD", text.strip().strip(".!\"'")).casefold()
    return "".join(char for char in bare if not unicodedata.combining(char)).strip()


def refuses(code: int | None) -> bool:
    """Tell if an error code says that the person does not want messages, such as 21610."""
    return code is not None and verdict(code) is Verdict.OPT_OUT


def event_of_message(
    message: Message, words: Words, person: Callable[[str | None], str | None], receivers: frozenset[str]
) -> ConsentEvent | None:
    """Read consent off a message of Twilio's list: a keyword that came in, or a refusal by its code.

    ``receivers`` are the numbers and messaging services that count; empty, all do.
    """
    inbound = message.direction == "inbound"
    ours, theirs = (message.to, message.from_) if inbound else (message.from_, message.to)
    at = message.date_sent or message.date_updated or message.date_created
    who = person(theirs)
    if at is None or not who or (receivers and not receivers & {ours, message.messaging_service_sid}):
        return None
    if inbound:
        kind = words.kind_of(message.body)
        return event(kind, who, at, "inbound") if kind else None
    if refuses(message.error_code):
        return event("stop", who, at, "receipt", message.error_code)
    return None


def opted_out(latest: Iterable[tuple[str, str, datetime]]) -> set[str]:
    """Those who refuse, of ``(person, kind, happened_at)``: of two events in the same second, STOP counts."""
    newest: dict[str, tuple[datetime, bool]] = {}
    for person, kind, at in latest:
        mark = (at, kind == "stop")
        if person not in newest or newest[person] < mark:
            newest[person] = mark
    return {person for person, (_, stops) in newest.items() if stops}


def moment_of(given: Any) -> datetime:
    """A time as a database or file gives it; one without a zone is UTC. Raises ``ValueError``."""
    if isinstance(given, str):
        given = datetime.fromisoformat(given.strip().replace("Z", "+00:00"))
    elif isinstance(given, (int, float)) and not isinstance(given, bool):
        given = datetime.fromtimestamp(given, timezone.utc)
    if not isinstance(given, datetime):
        raise ValueError("no time")
    return given if given.tzinfo else given.replace(tzinfo=timezone.utc)


class Session(Protocol):
    """A database, for statements that are committed one by one. ``?`` stands for a parameter."""

    def select(self, sql: str, parameters: Sequence[Any] = ()) -> Sequence[Sequence[Any]]: ...

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Returns how many rows it changed."""


AT_ONCE = 400  # people of a statement


def key_mark(person: Callable[[str], str]) -> str:
    """A hash that tells whether two keys are the same."""
    return person("airflow_provider_twilio_comms consent")


class ConsentTable:
    """The table as a send reads it. ``hashed`` makes a person's hash; None where there is no key."""

    def __init__(self, session: Session, table: str, hashed: Callable[[str], str] | None) -> None:
        self._session, self._table, self._hashed = session, table, hashed
        self._checked = False

    def refused(self, numbers: Sequence[str]) -> set[str]:
        """Those of the numbers who have opted out."""
        self._check_key()
        names: dict[str, str] = {number: number for number in numbers}
        if self._hashed:
            names.update({self._hashed(number): number for number in numbers})
        found: list[tuple[str, str, datetime]] = []
        listed = list(names)
        for start in range(0, len(listed), AT_ONCE):
            part = listed[start : start + AT_ONCE]
            marks = ", ".join("?" * len(part))
            rows = self._session.select(
                f"SELECT person, kind, MAX(happened_at) FROM {self._table} "
                f"WHERE kind IN ('stop', 'start') AND person IN ({marks}) GROUP BY person, kind",
                part,
            )
            found += [(names[str(person)], str(kind), moment_of(at)) for person, kind, at in rows]
        return opted_out(found)

    def add(self, number: str, code: int) -> None:
        """Note that Twilio refused a message now, since the person has opted out."""
        person = self._hashed(number) if self._hashed else number
        found = event("stop", person, datetime.now(timezone.utc), "send", code)
        if self._session.select(f"SELECT 1 FROM {self._table} WHERE event_id = ?", (found.event_id,)):
            return
        self._session.execute(
            f"INSERT INTO {self._table} (event_id, kind, person, happened_at, source, code) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (found.event_id, found.kind, person, found.happened_at.isoformat(), found.source, code),
        )

    def _check_key(self) -> None:
        """Refuse a table of hashes that were made with another key: nobody would be found in it."""
        if self._checked:
            return
        keys = {str(row[0]) for row in self._session.select(_KEYS.format(self._table), (KEY,))}
        if keys and (self._hashed is None or key_mark(self._hashed) not in keys):
            raise InvalidInput.at(
                "hash_secret",
                f"is not the one with which the people in {self._table} were hashed: nothing was sent, since "
                "nobody would be found there",
                "Give the connection the hash_secret of the TwilioOptOutsOperator that fills the table",
            )
        self._checked = True


_KEYS = "SELECT person FROM {} WHERE kind = ?"
