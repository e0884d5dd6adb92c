"""Leave out of a plan who has opted out or is over the frequency cap; look again when a part goes out.

The parts of a plan stay what they are, known by their fingerprints, whoever is left out of them: so a later
try, by which others have opted out, finds what was sent. The bodies are cut when they are posted.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from airflow_provider_twilio_comms._core.campaigns.consent import refuses
from airflow_provider_twilio_comms._core.campaigns.frequency import Claims, Wanted
from airflow_provider_twilio_comms._core.planning.plan import Chunk, Plan
from airflow_provider_twilio_comms._core.recipients.number_sets import NumberSet, key_of
from airflow_provider_twilio_comms._core.recipients.reader import Reject
from airflow_provider_twilio_comms._core.sending.ledger import BARRED
from airflow_provider_twilio_comms.exceptions import TwilioError

log: logging.Logger = logging.getLogger(__name__)

OPTED_OUT, CAPPED = "opted_out", "frequency_cap"
BEFORE = "left_out"  # of a part that an earlier try began
_PROBLEMS = {OPTED_OUT: "has opted out", CAPPED: "got as many messages as frequency_cap allows"}


class Consent(Protocol):
    """The consent table: look up who of these numbers has opted out, and note that Twilio said so."""

    def refused(self, numbers: Sequence[str]) -> set[str]: ...

    def add(self, number: str, code: int) -> None: ...


class Begun(Protocol):
    """A part that an earlier try began."""

    @property
    def count(self) -> int: ...

    @property
    def messages(self) -> list[str]: ...


class _Party(msgspec.Struct):
    address: str = ""


class Person(msgspec.Struct):
    """A recipient as Twilio takes it, read back; one that Twilio holds has no address here."""

    address: str = ""
    addresses: list[_Party] = []
    variables: dict[str, str] | None = None

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers, without a channel's prefix."""
        found = [self.address] if self.address else [each.address for each in self.addresses]
        return tuple(each.rpartition(":")[2] for each in found)


class CampaignGuard:
    """Consent and the cap of one send; either may be None.

    ``claiming`` is false for a dry run, which looks and claims nothing. ``when`` is the time at which a part
    goes out, in seconds since 1970.
    """

    def __init__(
        self,
        consent: Consent | None,
        claims: Claims | None,
        *,
        claiming: bool,
        when: Callable[[Chunk], float],
    ) -> None:
        self._consent, self._claims = consent, claims
        self._claiming = claiming
        self._when = when
        self._plan = Plan()
        self._again: dict[tuple[int, int, str], int] = {}  # of a number's second message 1, and so on
        self._before: dict[int, Counter[str]] = {}
        self._out_of: dict[int, dict[int, str]] = {}  # the reasons by part and place
        self._chunks: dict[int, Chunk] = {}
        self._told: set[tuple[str, ...]] = set()  # of whom Twilio said that they have opted out

    def screen(
        self,
        plan: Plan,
        begun: Mapping[str, Begun],
        reject: Callable[[Reject], None],
        subtract: Callable[[Any], None],
    ) -> None:
        """Look at everybody of a plan, but for the parts that an earlier try began; ``begun`` are those.

        ``reject`` and ``subtract`` hear of each person who is left out.
        """
        self._plan, plan.guard = plan, self
        self._chunks = {chunk.number: chunk for chunk in plan.chunks}
        seen, times = NumberSet(), Counter[str]()
        for chunk in plan.chunks:
            entry = begun.get(chunk.fingerprint)
            people = people_of(plan, chunk) if entry is None or self._claims is not None else []
            self._number(chunk, people, seen, times)
            if entry is not None:
                missing = chunk.count - entry.count + entry.messages.count(BARRED)
                self._before[chunk.number] = found = Counter({BEFORE: max(0, missing)})
                plan.left[chunk.number] = found
                continue
            out = self._out(chunk, dict(enumerate(people)))
            if not out:
                continue
            self._out_of[chunk.number] = out
            plan.left[chunk.number] = Counter(out.values())
            rows = plan.source_rows.get(chunk.number)
            for place, reason in out.items():
                person = people[place]
                row = rows[place] if rows else 0
                reject(Reject(row, "recipient", _PROBLEMS[reason], person.numbers[0], reason))
                subtract(person)

    def admit(self, part: int, people: Mapping[int, Person]) -> dict[int, str]:
        """Look again at people of a part, by their places, that are about to be given to Twilio.

        Returns the places of those who may not be texted, with the reason; the others' claims stay from here
        on. Raises :class:`~airflow_provider_twilio_comms.exceptions.TwilioError`, and then nothing is posted.
        """
        chunk = self._chunks[part]
        out = self._out(chunk, people)
        if len(people) == chunk.count:  # none of it was sent
            self._before.pop(part, None)
        known = {place: why for place, why in self._out_of.get(part, {}).items() if place not in people}
        self._out_of[part] = {**known, **out}
        self._plan.left[part] = Counter(self._out_of[part].values()) + self._before.get(part, Counter())
        if self._claims is not None:
            stay = {place: person for place, person in people.items() if place not in out}
            self._claims.give(self._wanted(part, stay))
        return out

    def refused(self, part: int, people: Mapping[int, Person], codes: Sequence[str] = ()) -> None:
        """Hear that Twilio did not take the messages to these people of a part.

        Whom a code of ``codes``, which has one for each place, calls an opt-out is noted as one.
        """
        if self._claims is not None and people:
            self._claims.take_back(self._wanted(part, people))
        for place, person in people.items() if self._consent is not None and codes else ():
            code = int(codes[place]) if codes[place].isdecimal() else None
            if code is not None and refuses(code) and person.numbers not in self._told:
                self._told.add(person.numbers)
                self._note(person.numbers, code)

    def _note(self, numbers: Sequence[str], code: int) -> None:
        assert self._consent is not None
        try:
            for number in numbers:
                self._consent.add(number, code)
        except TwilioError as error:  # the send is more important: Twilio itself holds these back
            log.warning("An opt-out that Twilio answered with (%d) could not be noted: %s", code, error)

    def release(self) -> None:
        """Release what was claimed and not given to Twilio."""
        if self._claims is not None and self._claiming:
            self._claims.release()

    def _number(self, chunk: Chunk, people: Sequence[Person], seen: NumberSet, times: Counter[str]) -> None:
        """Note which message to a number each is, where it is not the first."""
        if self._claims is None:
            return
        for place, person in enumerate(people):
            for number in person.numbers:
                if seen.add((key_of(number),)):
                    times[number] += 1
                    self._again[chunk.number, place, number] = times[number]

    def _wanted(self, part: int, people: Mapping[int, Person]) -> list[Wanted]:
        return [
            (number, self._again.get((part, place, number), 0))
            for place, person in people.items()
            for number in person.numbers
        ]

    def _out(self, chunk: Chunk, people: Mapping[int, Person]) -> dict[int, str]:
        out: dict[int, str] = {}
        if self._consent is not None:
            refused = self._consent.refused([number for each in people.values() for number in each.numbers])
            out.update(
                (place, OPTED_OUT) for place, each in people.items() if refused.intersection(each.numbers)
            )
        if self._claims is None:
            return out
        stay = {place: person for place, person in people.items() if place not in out}
        look = self._claims.take if self._claiming else self._claims.within
        taken = look(self._wanted(chunk.number, stay), self._when(chunk))
        for place, person in stay.items():
            if not taken.issuperset(self._wanted(chunk.number, {place: person})):
                out[place] = CAPPED
        return out


def people_of(plan: Plan, chunk: Chunk) -> list[Person]:
    """The people of a part, whoever is left out of it."""
    return _people.decode(b"[" + plan.read(chunk) + b"]")


_people = msgspec.json.Decoder(list[Person])
