"""Screening before a send: opt-outs, allow lists and duplicates are left out, texts and countries counted."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from airflow_provider_twilio_comms._core.campaigns.sections import Section
from airflow_provider_twilio_comms._core.campaigns.variants import Assignment
from airflow_provider_twilio_comms._core.planning.duplicates import EqualRows
from airflow_provider_twilio_comms._core.planning.limits import Limits, OnDuplicate
from airflow_provider_twilio_comms._core.planning.texts import Text
from airflow_provider_twilio_comms._core.recipients.number_sets import NumberSet, key_of, keys_of, numbers_of
from airflow_provider_twilio_comms._core.recipients.phone_numbers import (
    UNKNOWN,
    Countries,
    zone_kind_of,
    zones_of,
)
from airflow_provider_twilio_comms._core.recipients.reader import (
    Address,
    Members,
    Profile,
    Read,
    Reject,
)
from airflow_provider_twilio_comms.api.sms_encoding import segments
from airflow_provider_twilio_comms.exceptions import InvalidInput

# https://help.twilio.com/articles/223179808: Twilio's numbers send MMS to these.
MMS = ("US", "CA")
EXACT = 20_000  # texts that Liquid itself renders; of more, one in STEP is rendered and counts for all
STEP = 20
RECHECK = 20_000  # rows between two counts of a list that is longer than its limit, equal rows included


@dataclass
class Counts:
    """Recipients and segments of each country, and the kinds of texts."""

    text: Text
    text_of: Callable[[Any], Text] | None = None  # of a recipient, where not everybody gets the same
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
            if self.text_of and render is not None:
                render = self.text_of(recipient).render or render
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
            text = self.text_of(recipient) if self.text_of else self.text
            count, wide = segments((text.render or self.text.render)(recipient.variables or {}))
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

    ``suppressed`` are numbers not to text; ``allows`` says whom to text at all; ``counts`` is what to count.
    ``by_zone`` names the arguments for which recipients in different time zones go in different requests,
    ``by_country`` says that those of different countries do, and ``zone_column`` is the variable that names a
    recipient's zone. ``assignment`` gives each a variant or holds them out; ``passed`` says whether it is too
    late to send to a section.
    """

    duplicates: OnDuplicate = "keep"
    suppressed: NumberSet | None = None
    allows: Callable[[str], Any] | None = None
    limits: Limits = field(default_factory=Limits)
    counts: Counts | None = None
    by_zone: Sequence[str] = ()
    by_country: bool = False
    zone_column: str | None = None
    assignment: Assignment | None = None
    passed: Callable[[Section], bool] | None = None
    unseen: int = 0  # recipients whose numbers Twilio holds, so that no guard can look at them
    _seen: NumberSet = field(default_factory=NumberSet)
    _equal: EqualRows | None = None
    _checked: int = 0
    _held_out: NumberSet = field(default_factory=NumberSet)
    _late: dict[Section, bool] = field(default_factory=dict)
    _countries: Countries = field(default_factory=Countries)

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
        if self.assignment and any(isinstance(recipient, Members) for recipient in recipients):
            raise InvalidInput.at(
                "recipients",
                "are groups, whose people Twilio looks up: nobody can assign them variants or hold them out",
                "Send to people, or leave out variants and holdout",
            )
        if self.zone_column or self.passed or self.assignment:
            self._leave_out(recipients, out)
        return _without(read, out) if out else read

    def groups(
        self, recipients: Sequence[Any], rows: Sequence[int]
    ) -> Iterator[tuple[Section, Sequence[Any], Sequence[int]]]:
        """Those who may go in one request, with the section of the list that they are."""
        for section, grouped, places in self._groups(recipients, rows):
            if self._equal:
                self._equal.add(section, grouped, places)
            yield section, grouped, places

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
    ) -> Iterator[tuple[Section, Sequence[Any], Sequence[int]]]:
        if not (self.by_zone or self.assignment):
            yield Section(), recipients, rows
            return
        found: dict[Section, list[int]] = {}
        for place, recipient in enumerate(recipients):
            found.setdefault(self._section(recipient), []).append(place)
        if len(found) == 1:
            yield next(iter(found)), recipients, rows
            return
        for section, places in found.items():
            yield section, [recipients[place] for place in places], [rows[place] for place in places]

    def _section(self, recipient: Any) -> Section:
        numbers = numbers_of(recipient)
        variant = self.assignment.variant(numbers[0]) if self.assignment else ""
        if not self.by_zone:
            return Section((), "", variant)
        named = (recipient.variables or {}).get(self.zone_column) if self.zone_column else None
        zones = (zone_kind_of(named),) if named else zones_of(numbers[0])
        if len(numbers) > 1 and not named:
            zones = tuple(sorted({zone for number in numbers for zone in zones_of(number)}))
        return Section(zones, self._countries.of(numbers[0]) if self.by_country else "", variant)

    def _leave_out(self, recipients: Sequence[Any], out: dict[int, tuple[str, str]]) -> None:
        """Add those with a zone that is none, those for whom it is too late, and those who are held out."""
        for place, recipient in enumerate(recipients):
            if place in out:
                continue
            try:
                section = self._section(recipient)
            except (ValueError, KeyError, OSError):
                out[place] = (
                    "invalid",
                    f"has a {self.zone_column} that is not a time zone, like Europe/Lisbon",
                )
                continue
            if self.passed and self._is_late(section):
                out[place] = ("passed", "got too late for this day")
            elif self.assignment and self.assignment.holds_out(numbers_of(recipient)[0]):
                again = self._held_out.add([key_of(numbers_of(recipient)[0])])
                out[place] = _TWICE if again and self.duplicates != "keep" else _HELD_OUT

    def _is_late(self, section: Section) -> bool:
        if section not in self._late:
            self._late[section] = self.passed is not None and self.passed(section)
        return self._late[section]

    def _suppressed(self, recipients: Sequence[Any]) -> list[int]:
        assert self.suppressed is not None
        found = self.suppressed.among(keys_of(recipients))
        for place, recipient in enumerate(recipients):
            others = numbers_of(recipient)[1:]
            if others and place not in found and self.suppressed.among(map(key_of, others)):
                found.append(place)
        return found


_TWICE = ("duplicate", "was given more than once")
_HELD_OUT = ("holdout", "is held out of the campaign")


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
