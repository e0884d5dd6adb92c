"""Message log and usage records, which Twilio keeps by date, to be copied an interval at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec

from airflow_provider_twilio_comms._core.privacy import Redaction
from airflow_provider_twilio_comms.api.classic import messages, usage
from airflow_provider_twilio_comms.api.wire import Call, Page
from airflow_provider_twilio_comms.exceptions import InvalidInput

_STAMP = "%Y%m%dT%H%M%SZ"
_ZERO = (
    "Since Airflow 3 a cron schedule has no data interval of its own: use CronDataIntervalTimetable (or set "
    "[scheduler] create_cron_data_intervals), or give interval_start and interval_end"
)


@dataclass(frozen=True, order=True)
class Interval:
    """From ``start`` up to ``end``, both in UTC and whole seconds."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, start: Any, end: Any) -> Interval:
        """From datetimes, or what templates make of them. Raises :class:`InvalidInput`."""
        moments = [_moment("interval_start", start), _moment("interval_end", end)]
        if moments[0] == moments[1]:
            raise InvalidInput.at("interval_end", "is interval_start: there is nothing between them", _ZERO)
        if moments[0] > moments[1]:
            raise InvalidInput.at("interval_end", "is before interval_start", "Swap them")
        return cls(*moments)

    @classmethod
    def named(cls, name: str) -> Interval | None:
        """The interval of a name, if it is one."""
        found = re.fullmatch(r"(\d{8}T\d{6}Z)_(\d{8}T\d{6}Z)", name)
        if not found:
            return None
        start, end = (datetime.strptime(text, _STAMP).replace(tzinfo=timezone.utc) for text in found.groups())
        return cls(start, end)

    @property
    def name(self) -> str:
        """``20260301T000000Z_20260302T000000Z``."""
        return f"{self.start.strftime(_STAMP)}_{self.end.strftime(_STAMP)}"

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last UTC day that it touches."""
        return self.start.date(), (self.end - timedelta(microseconds=1)).date()

    @property
    def whole_days(self) -> bool:
        """Tell if it begins and ends at midnight, UTC."""
        return self.start.time() == self.end.time() == time()

    def holds(self, moment: datetime | None) -> bool:
        return moment is not None and self.start <= moment < self.end

    def overlaps(self, other: Interval) -> bool:
        return self.start < other.end and other.start < self.end

    def from_before(self, before: timedelta) -> Interval:
        """The same, begun so much earlier."""
        return Interval(self.start - before, self.end)


def _moment(field: str, given: Any) -> datetime:
    try:
        moment = given if isinstance(given, datetime) else datetime.fromisoformat(_text(given))
    except ValueError:
        raise InvalidInput.at(
            field,
            "is not a date or time",
            "Give one in ISO 8601. A run without a data interval, as one started by hand, has none to take",
        ) from None
    if moment.tzinfo is None:
        raise InvalidInput.at(field, "has no time zone", "Give its offset, such as +00:00")
    return datetime.fromtimestamp(int(moment.timestamp()), timezone.utc)


def _text(given: Any) -> str:
    """A date alone is its midnight, UTC."""
    text = str(given).strip().replace("Z", "+00:00")
    return f"{text}T00:00:00+00:00" if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else text


R = TypeVar("R", bound=msgspec.Struct)

# https://www.twilio.com/docs/messaging/api/message-resource
KEPT = timedelta(days=400)
PAGE = 1000


class LoggedMessage(msgspec.Struct, frozen=True, gc=False):
    """A message of the classic log. The other party's number and the text are as ``redact`` says.

    ``channel`` is sms, whatsapp, rcs ..., ``price`` negative, since it is taken from the balance, and there
    once it is billed. Times are in UTC.
    """

    sid: str
    account_sid: str | None
    messaging_service_sid: str | None
    direction: str | None
    channel: str
    sender: str | None
    recipient: str | None
    status: str | None
    error_code: int | None
    error_message: str | None
    body: str | None
    num_segments: int | None
    num_media: int | None
    price: Decimal | None
    price_unit: str | None
    date_created: datetime | None
    date_sent: datetime | None
    date_updated: datetime | None


@dataclass(frozen=True)
class Source(Generic[R]):
    """A list of Twilio's by date. ``row`` is None for what lies outside the interval."""

    kind: type[R]
    call: Callable[[Interval], Call[Page[Any]]]
    row: Callable[[Any, Interval], R | None]
    status: Callable[[R], str | None]
    check: Callable[[Interval, datetime], None]


def message_log(redaction: Redaction) -> Source[LoggedMessage]:
    """Messages by when they were sent. Twilio filters by whole UTC days, so the rest is left out here."""

    def call(interval: Interval) -> Call[Page[messages.Message]]:
        first, last = interval.days
        return messages.list(sent_on_or_after=first, sent_on_or_before=last, page_size=PAGE)

    def row(message: messages.Message, interval: Interval) -> LoggedMessage | None:
        return _logged(message, redaction) if interval.holds(message.date_sent) else None

    return Source(LoggedMessage, call, row, lambda logged: logged.status, _kept)


def _kept(interval: Interval, now: datetime) -> None:
    if interval.start < now - KEPT:
        oldest = (now - KEPT).date().isoformat()
        raise InvalidInput.at(
            "interval_start",
            f"is {interval.start.date().isoformat()}, and Twilio keeps messages for {KEPT.days} days, now "
            f"since {oldest}",
            "Begin later; what is older is gone",
        )


def _logged(message: messages.Message, redaction: Redaction) -> LoggedMessage:
    """Our own number is no secret, and the other one is: the sender's of what came in."""
    inbound = message.direction == "inbound"
    ours, theirs = (message.to, message.from_) if inbound else (message.from_, message.to)
    prefix, _, bare = (ours or "").rpartition(":")
    ours, theirs = bare or None, redaction.number(theirs)
    channel = prefix or (message.to or "").rpartition(":")[0] or "sms"
    return LoggedMessage(
        sid=message.sid,
        account_sid=message.account_sid,
        messaging_service_sid=message.messaging_service_sid,
        direction=message.direction,
        channel=channel,
        sender=theirs if inbound else ours,
        recipient=ours if inbound else theirs,
        status=message.status,
        error_code=message.error_code,
        error_message=redaction.remark(message.error_message),
        body=redaction.text(message.body),
        num_segments=message.num_segments,
        num_media=message.num_media,
        price=message.price,
        price_unit=message.price_unit,
        date_created=message.date_created,
        date_sent=message.date_sent,
        date_updated=message.date_updated,
    )


def usage_records(category: str | None, include_subaccounts: bool | None) -> Source[usage.UsageRecord]:
    """Usage of each day, by category."""

    def call(interval: Interval) -> Call[Page[usage.UsageRecord]]:
        first, last = interval.days
        only: dict[str, Any] = {"category": category, "include_subaccounts": include_subaccounts}
        given = {name: value for name, value in only.items() if value is not None}
        return usage.records("daily", start_date=first, end_date=last, page_size=PAGE, **given)

    def row(record: usage.UsageRecord, interval: Interval) -> usage.UsageRecord | None:
        day = record.start_date
        start = datetime(day.year, day.month, day.day, tzinfo=timezone.utc) if day else None
        return record if interval.holds(start) else None

    return Source(usage.UsageRecord, call, row, lambda record: record.category, _whole_days)


def _whole_days(interval: Interval, now: datetime) -> None:
    if not interval.whole_days:
        fix = "Let them be midnights, UTC"
        raise InvalidInput.at(
            "interval_start", "and interval_end are not whole days, as usage is counted", fix
        )
