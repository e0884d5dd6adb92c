"""Read who opted out and who came back, from whatever tells it, into the table of consent."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._core.campaigns.consent import (
    CURSOR,
    KEY,
    ConsentEvent,
    Words,
    event,
    event_of_message,
    key_mark,
    moment_of,
    refuses,
)
from airflow_provider_twilio_comms._core.recipients.phone_numbers import normalised
from airflow_provider_twilio_comms._core.recipients.reader import batches
from airflow_provider_twilio_comms._core.recipients.sources import lines_of, rows_of
from airflow_provider_twilio_comms._core.reporting.message_log import KEPT, Interval
from airflow_provider_twilio_comms._tasks.campaigns.database import Database
from airflow_provider_twilio_comms._tasks.object_storage import resolved
from airflow_provider_twilio_comms._tasks.sql import Query
from airflow_provider_twilio_comms._tasks.sql_loading import loading, table_name
from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._tasks.reading import Reading

AT_ONCE = 1_000  # events that are written in one transaction
EPOCH = datetime.fromtimestamp(0, timezone.utc)
PAGE = 1_000
SKEW = timedelta(minutes=5)  # by which Twilio's clock may be ahead of ours
_HASH = re.compile(r"[0-9a-f]{64}")
_TIMES = ("attempted_at", "updated_at", "date_updated", "date_sent", "created_at", "happened_at")


class People:
    """The names of people in the table: numbers, or their hashes where ``hashed`` makes them."""

    def __init__(self, hashed: Callable[[str], str] | None, region: str | None) -> None:
        self.hashed = hashed
        self._region = region

    def of(self, given: Any) -> str | None:
        """A person by number, with or without a channel's prefix, or by a hash; None for what is neither."""
        text = str(given or "").strip()
        if _HASH.fullmatch(text):
            return text
        number, problem = normalised(text.rpartition(":")[2], self._region)
        if problem:
            return None
        return self.hashed(number) if self.hashed else number


class ConsentWriter:
    """The open table. ``counts`` says how many events were read, by source and kind."""

    def __init__(
        self, database: Database, write: Callable[[Sequence[ConsentEvent]], None], account: str
    ) -> None:
        self._database, self._write, self._account = database, write, account
        self.counts: dict[str, Counter[str]] = {}

    def add(self, events: Iterable[ConsentEvent]) -> None:
        """Write events; one that is there already is written over with the same."""
        for part in batches(events, AT_ONCE):
            self._write(list({each.event_id: each for each in part}.values()))
            for each in part:
                self.counts.setdefault(each.source, Counter())[each.kind] += 1

    def cursor(self) -> datetime | None:
        """The time up to which the message list was read, by every run so far."""
        (row,) = self._database.select(
            f"SELECT MAX(happened_at) FROM {self._database.table} WHERE kind = ? AND person = ?",
            (CURSOR, self._account),
        )
        return None if row[0] is None else moment_of(row[0])

    def move_cursor(self, to: datetime) -> None:
        """Note that the list was read up to a time; never back."""
        before = self.cursor()
        if before is None or before < to:
            self._write([ConsentEvent(f"cursor:{self._account}", CURSOR, self._account, to, "inbound")])

    def check_key(self, hashed: Callable[[str], str] | None) -> None:
        """Note by which key people are hashed. Raises :class:`InvalidInput` where it was another one."""
        sql = f"SELECT person FROM {self._database.table} WHERE kind = ?"
        keys = {str(row[0]) for row in self._database.select(sql, (KEY,))}
        mark = key_mark(hashed) if hashed else None
        if keys - {mark}:
            raise InvalidInput.at(
                "hash_secret",
                f"is not the one with which the people in {self._database.table} were hashed",
                "Give the connection the secret of then, or begin another table and fill it anew",
            )
        if mark and not keys:
            self._write([ConsentEvent(f"key:{mark[:32]}", KEY, mark, EPOCH, "key")])


def scope_of(account_sid: str, receivers: Iterable[str]) -> str:
    """The name of a list, for its cursor: the account's, or the part of it that came to some numbers."""
    return hashlib.sha256("|".join((account_sid, *sorted(receivers))).encode()).hexdigest()[:40]


@contextmanager
def consent_writer(conn_id: str, table: str, account: str, create: bool) -> Iterator[ConsentWriter]:
    """Open the table of consent to write to it, while the block lasts."""
    table = table_name(table)
    database = Database(conn_id, table, "of those who have opted out")
    try:
        with loading(conn_id, table, ConsentEvent, "event_id", create=create) as write:
            if create:
                name = re.sub(r"\W+", "_", table).strip("_")
                database.execute(f"CREATE INDEX IF NOT EXISTS {name}_person ON {table} (person)")
            yield ConsentWriter(database, write, account)
    finally:
        database.close()


def read_messages(
    read: Reading,
    interval: Interval,
    words: Words,
    people: People,
    receivers: frozenset[str],
    writer: ConsentWriter,
    moves: bool,
) -> None:
    """Read Twilio's list day by day, the oldest first; what is done of it is noted where ``moves`` says so.

    Twilio filters by whole UTC days, so the rest of the first and last one is left out here.
    """
    day, last = interval.days
    while day <= last:
        first = messages.list(sent_on_or_after=day, sent_on_or_before=day, page_size=PAGE)
        for page in read.pages(first):
            told = (
                event_of_message(each, words, people.of, receivers)
                for each in page.items
                if interval.holds(each.date_sent)
            )
            writer.add(each for each in told if each)
        day += timedelta(days=1)
        if moves:
            end = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
            writer.move_cursor(min(end, interval.end, datetime.now(timezone.utc).replace(microsecond=0)))


def interval_of(
    start: Any, end: Any, writer: ConsentWriter, first: timedelta, lookback: timedelta
) -> Interval:
    """From where the last run ended, or so long ago, until now; or as the author says."""
    now = datetime.now(timezone.utc)
    end = now + SKEW if end is None else end
    if start is None:
        cursor = writer.cursor()
        start = now - first if cursor is None else cursor - lookback
    interval = Interval.of(start, end)
    oldest = (now - KEPT + timedelta(minutes=1)).replace(microsecond=0)  # what is older is gone at Twilio
    return interval if interval.start >= oldest else Interval(oldest, max(oldest, interval.end))


def webhook_events(
    read: Reading, triggering: Any, people: People, receivers: frozenset[str]
) -> Iterator[ConsentEvent]:
    """Read opt-outs off webhooks: Twilio's own ``OptOutType``, whatever the word was."""
    kinds: dict[str, str] = {}
    for events in (triggering or {}).values():
        for each in events:
            payload = (each.extra or {}).get("payload") or {}
            kind = str(payload.get("opt_out") or "").lower()
            if kind in ("stop", "start") and payload.get("sid"):
                kinds[str(payload["sid"])] = kind
    found = read.each(messages.fetch, list(kinds))
    for message, kind in zip(found, kinds.values(), strict=True):
        if message is None or (receivers and not receivers & {message.to, message.messaging_service_sid}):
            continue
        who, at = people.of(message.from_), message.date_sent or message.date_created
        if who and at:
            yield event(kind, who, at, "webhook")


def receipt_events(given: Any, people: People) -> Iterator[ConsentEvent]:
    """Refusals in receipts, as the operators of this package write them: files, or ``{"sql", "conn_id"}``."""
    for source in [given] if isinstance(given, (str, Mapping)) else given:
        for row, values in enumerate(_rows("receipts", source), 1):
            code = _number(values.get("code", values.get("error_code")))
            who = people.of(values.get("recipient"))
            if not refuses(code) or who is None:
                continue
            at = next((values[name] for name in _TIMES if values.get(name)), None)
            yield event("stop", who, _moment("receipts", at, row), "receipt", code)


def deactivation_events(given: Any, people: People) -> Iterator[ConsentEvent]:
    """The numbers of a day's list of deactivated ones: ``{"path", "day"}``; the path of a file or more."""
    if not isinstance(given, Mapping) or set(given) != {"path", "day"}:
        fix = 'Give {"path": "s3://.../2026-11-25.txt", "day": "2026-11-25"}'
        raise InvalidInput.at("deactivated", "is not a path with its day", fix)
    day = given["day"]
    day = valid("day", day, date) if isinstance(day, (date, datetime)) else date.fromisoformat(str(day)[:10])
    at = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    for line in lines_of(resolved(str(given["path"]))):
        number = line.partition(",")[0].strip(" \t\r\n\"'")
        who = people.of(number if number[:1] == "+" else f"+{number}")
        if who:
            yield event("stop", who, at, "deactivated")


def query_events(given: Any, people: People) -> Iterator[ConsentEvent]:
    """The rows of the author's statement: the number first, ``happened_at``, and perhaps ``opted_out``.

    Raises :class:`InvalidInput` for a row without a number or a time: whoever is in it would be texted.
    """
    for row, values in enumerate(_rows("query", given), 1):
        who = people.of(next(iter(values.values())))
        if who is None:
            fix = "Select numbers in E.164 (+ and the country code first), or set default_region"
            raise InvalidInput.at("query", "has no phone number in its first column", fix, row)
        out = values.get("opted_out", True)
        kind = "start" if out in (False, 0, None) or str(out).lower() in ("false", "f", "0") else "stop"
        yield event(kind, who, _moment("query", values.get("happened_at"), row), "query")


def _rows(field: str, source: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(source, str) and source.strip():
        yield from rows_of(resolved(source))
    elif isinstance(source, Mapping) and "sql" in source:
        query = Query(str(source["sql"]), str(source.get("conn_id") or ""), source.get("parameters"))
        for batch in query.batches():
            for row in batch:
                yield dict(zip(batch.names, row, strict=True))
    else:
        fix = "Give {'sql': ..., 'conn_id': ...}" + (" or paths" if field == "receipts" else "")
        raise InvalidInput.at(field, "is not a source of rows", fix)


def _moment(field: str, given: Any, row: int) -> datetime:
    try:
        return moment_of(given)
    except ValueError:
        fix = "Select happened_at: a timestamp, ISO 8601, or seconds since 1970"
        raise InvalidInput.at(field, "does not say when it happened", fix, row) from None


def _number(given: Any) -> int | None:
    text = str(given if given is not None else "").strip()
    return int(text) if text.isdecimal() else None
