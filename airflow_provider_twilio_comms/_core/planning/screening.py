"""Screening before a send: opt-outs, allow lists and duplicates are left out, texts and countries counted."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from airflow_provider_twilio_comms._core.planning.duplicates import EqualRows
from airflow_provider_twilio_comms._core.planning.limits import Limits, OnDuplicate
from airflow_provider_twilio_comms._core.planning.texts import Text
from airflow_provider_twilio_comms._core.recipients.number_sets import NumberSet, key_of, keys_of, numbers_of
from airflow_provider_twilio_comms._core.recipients.phone_numbers import UNKNOWN, Countries, zones_of
from airflow_provider_twilio_comms._core.recipients.reader import (
    Address,
    Members,
    Profile,
    Read,
    Reject,
)
from airflow_provider_twilio_comms.api.sms_encoding import segments

# https://help.twilio.com/articles/223179808: Twilio's numbers send MMS to these.
MMS = ("US", "CA")
EXACT = 20_000  # texts that Liquid itself renders; of more, one in STEP is rendered and counts for all
STEP = 20
RECHECK = 20_000  # rows between two counts of a list that is longer than its limit, equal rows included


@dataclass
class Counts:
    """Recipients and segments of each country, and the kinds of texts."""

    text: Text
    countries: Countries = field(default_factory=Countries)
    recipients: Counter[str] = field(default_factory=Counter)
    segments: Counter[str] = field(default_factory=Counter)
    ucs2: int = 0
    longest: int = 0
    exact: bool = True
    _seen: int = 0

    def add(self, recipients: Sequence[Any]) -> None:
        """Count recipients, and their texts where these are known."""
        country = self.countries.of
        render, constant = self.text.render, None
        if self.text.constant and render:
            constant = segments(render({}))
        for recipient in recipients:
            where = country(numbers_of(recipient)[0])
            self.recipients[where] += 1
            if render is None:
                continue
            self._seen += 1
            weight = 1
            if self.text.costly and self._seen > EXACT:
                if self._seen % STEP:
                    continue
                weight, self.exact = STEP, False
            count, wide = constant or segments(render(recipient.variables or {}))
            self.segments[where] += count * weight
            self.ucs2 += weight if wide else 0
            if count > self.longest:
                self.longest = count

    def subtract(self, recipient: Any) -> None:
        """Take back one that was counted, and is not sent after all."""
        where = self.countries.of(numbers_of(recipient)[0])
        self.recipients[where] -= 1
        if self.text.render is not None:
            count, wide = segments(self.text.render(recipient.variables or {}))
            self.segments[where] -= count
            self.ucs2 -= wide

    def media_elsewhere(self) -> int:
        """Count the recipients of an MMS in countries for which Twilio does not promise it."""
        if not self.text.media:
            return 0
        return sum(count for name, count in self.recipients.items() if name not in (*MMS, UNKNOWN))

    def to_dict(self) -> dict[str, Any]:
        """``{"segments", "countries"}``; segments are None where the text is not known here."""
        total = sum(self.recipients.values())
        ucs2 = min(self.ucs2, total)
        countries: dict[str, dict[str, Any]] = {
            name: {"recipients": count} for name, count in self.recipients.most_common()
        }
        if self.text.render is None:
            counted = None
            if self.text.media:
                counted = {"total": total, "longest": 1, "gsm7": 0, "ucs2": 0, "mms": total, "exact": True}
        else:
            counted = {
                "total": sum(self.segments.values()),
                "longest": self.longest,
                "gsm7": total - ucs2,
                "ucs2": ucs2,
                "exact": self.exact,
            }
        for name, country in countries.items():
            if counted is not None and self.text.priced:  # which is what they are for
                country["segments"] = self.segments[name]
        return {"segments": counted, "countries": countries}


@dataclass
class Screening:
    """The rules by which recipients are left out, counted and grouped.

    ``suppressed`` are numbers not to text; ``allows`` says whom to text at all; ``counts`` is what to count;
    ``by_zone`` whether recipients in different time zones go in different requests.
    """

    duplicates: OnDuplicate = "keep"
    suppressed: NumberSet | None = None
    allows: Callable[[str], Any] | None = None
    limits: Limits = field(default_factory=Limits)
    counts: Counts | None = None
    by_zone: bool = False
    unseen: int = 0  # recipients whose numbers Twilio holds, so that no guard can look at them
    _seen: NumberSet = field(default_factory=NumberSet)
    _equal: EqualRows | None = None
    _checked: int = 0

    def __post_init__(self) -> None:
        if self.duplicates == "equal":
            self._equal = EqualRows()

    def kept(self, read: Read) -> Read:
        """A batch without those who are left out."""
        recipients = read.recipients
        if not recipients:
            return read
        self.unseen += sum(isinstance(recipient, Profile | Members) for recipient in recipients)
        out: dict[int, tuple[str, str]] = {}
        if self.allows:
            allows = self.allows
            barred = (place for place, one in enumerate(recipients) if not all(map(allows, numbers_of(one))))
            out.update((place, ("not_allowed", "is outside allowed_recipients")) for place in barred)
        if self.suppressed is not None:
            out.update((place, ("suppressed", "is suppressed")) for place in self._suppressed(recipients))
        if self.duplicates == "first":
            left = [place for place in range(len(recipients)) if place not in out] if out else None
            keys = keys_of([recipients[place] for place in left] if left is not None else recipients)
            again = self._seen.add(keys)
            out.update((left[place] if left else place, _TWICE) for place in again)
        return _without(read, out) if out else read

    def groups(
        self, recipients: Sequence[Any], rows: Sequence[int]
    ) -> Iterator[tuple[tuple[str, ...], Sequence[Any], Sequence[int]]]:
        """Those who may go in one request, with the zones that they can be in."""
        for zones, grouped, places in self._groups(recipients, rows):
            if self._equal:
                self._equal.add(zones, grouped, places)
            yield zones, grouped, places

    def check_count(self, count: int) -> None:
        """Refuse more recipients than the limit, before all are read. Of equal rows, one counts."""
        if self._equal and self.limits.recipients is not None and count > self.limits.recipients:
            if count < self._checked:
                return
            self._checked = count + RECHECK
            count = self._equal.count()
        self.limits.check_recipients(count)

    @property
    def differing(self) -> int:
        """Rows with the number of an earlier row and other values, all of which are sent."""
        return self._equal.differing if self._equal else 0

    def without_equal(
        self, chunks: Sequence[Any], spool: Any, reject: Callable[[Reject], None]
    ) -> Sequence[Any]:
        """The chunks of a plan without what is equal to an earlier recipient."""

        def leave_out(found: Reject, recipient: Address) -> None:
            reject(found)
            if self.counts:
                self.counts.subtract(recipient)

        return self._equal.remove(chunks, spool, leave_out) if self._equal else chunks

    def _groups(
        self, recipients: Sequence[Any], rows: Sequence[int]
    ) -> Iterator[tuple[tuple[str, ...], Sequence[Any], Sequence[int]]]:
        if not self.by_zone:
            yield (), recipients, rows
            return
        found: dict[tuple[str, ...], list[int]] = {}
        for place, recipient in enumerate(recipients):
            numbers = numbers_of(recipient)
            zones = zones_of(numbers[0])
            if len(numbers) > 1:
                zones = tuple(sorted({zone for number in numbers for zone in zones_of(number)}))
            found.setdefault(zones, []).append(place)
        if len(found) == 1:
            yield next(iter(found)), recipients, rows
            return
        for zones, places in found.items():
            yield zones, [recipients[place] for place in places], [rows[place] for place in places]

    def _suppressed(self, recipients: Sequence[Any]) -> list[int]:
        assert self.suppressed is not None
        found = self.suppressed.among(keys_of(recipients))
        for place, recipient in enumerate(recipients):
            others = numbers_of(recipient)[1:]
            if others and place not in found and self.suppressed.among(map(key_of, others)):
                found.append(place)
        return found


_TWICE = ("duplicate", "was given more than once")


def _without(read: Read, out: dict[int, tuple[str, str]]) -> Read:
    rejects = [
        Reject(read.rows[place], "recipient", problem, numbers_of(read.recipients[place])[0], reason)
        for place, (reason, problem) in sorted(out.items())
    ]
    stay = [place for place in range(len(read.recipients)) if place not in out]
    return Read(
        [read.recipients[place] for place in stay],
        [read.rows[place] for place in stay],
        [*read.rejects, *rejects],
    )


def latest(reads: Iterator[Read], file: IO[bytes]) -> Iterator[Read]:
    """Only the last of those with the same number: everyone has to be read before the first one is known.

    ``file`` is where they wait; it is private, and without a name.
    """
    seen, again = NumberSet(), Counter[int]()
    for read in reads:
        keys = keys_of(read.recipients) if read.recipients else []
        again.update(keys[place] for place in seen.add(keys))
        pickle.dump(tuple(read), file, pickle.HIGHEST_PROTOCOL)
    del seen
    file.seek(0)
    while True:
        try:
            read = Read(*pickle.load(file))  # our own file, that nobody else can open
        except EOFError:
            return
        keys = keys_of(read.recipients) if again and read.recipients else []
        out = {}
        for place, key in enumerate(keys):
            if again.get(key):
                again[key] -= 1
                out[place] = _TWICE
        yield _without(read, out) if out else read
