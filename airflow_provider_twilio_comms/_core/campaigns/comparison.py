"""Compare the variants of a campaign: shares of people and their differences, with confidence intervals.

A share has Wilson's interval, a difference of two shares Newcombe's, which is made of Wilson's of both
(method 10 in "Interval estimation for the difference between independent proportions", Statistics in
Medicine 17, 1998). Both hold for few people and for shares near 0 and 1, as those of opt-outs are. Where
more than two variants are compared, each difference has a wider interval (Bonferroni), so that all of them
together are as certain as was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import NamedTuple

import msgspec

from airflow_provider_twilio_comms._core.campaigns.consent import Words
from airflow_provider_twilio_comms._core.inbound import InboundMessage
from airflow_provider_twilio_comms._core.privacy import Redaction
from airflow_provider_twilio_comms._core.recipients.number_sets import NumberSet, key_of
from airflow_provider_twilio_comms._core.reporting.receipts import FAILED
from airflow_provider_twilio_comms.exceptions import InvalidInput

OUTCOMES = ("delivered", "failed", "replied", "opted_out")
DELIVERED = frozenset({"DELIVERED", "READ"})
_WORDS = Words()
_ENDED = DELIVERED | FAILED | {"CANCELED"}


class Interval(NamedTuple):
    """The ends of a confidence interval."""

    low: float
    high: float


def wilson(count: int, people: int, confidence: float) -> Interval:
    """The interval of a share. Raises :class:`InvalidInput` where SciPy is not installed."""
    if not people:
        return Interval(0.0, 1.0)
    try:
        from scipy.stats import binomtest
    except ImportError:
        fix = "Install airflow-provider-twilio-comms[statistics]"
        raise InvalidInput.at("confidence", "the package scipy is not installed", fix) from None
    found = binomtest(count, people).proportion_ci(confidence, method="wilson")
    return Interval(float(found.low), float(found.high))


def newcombe(first: tuple[int, int], second: tuple[int, int], confidence: float) -> Interval:
    """The interval of how much larger the first share is; each is a count and a number of people."""
    (one, of_one), (two, of_two) = first, second
    if not of_one or not of_two:
        return Interval(-1.0, 1.0)
    share, other = one / of_one, two / of_two
    own, others = wilson(one, of_one, confidence), wilson(two, of_two, confidence)
    difference = share - other
    return Interval(
        difference - sqrt((share - own.low) ** 2 + (others.high - other) ** 2),
        difference + sqrt((own.high - share) ** 2 + (other - others.low) ** 2),
    )


class VariantOutcome(msgspec.Struct, frozen=True):
    """A row of a campaign's report: one outcome of one variant.

    ``count`` of ``people``, so ``share`` from ``low`` to ``high``. ``difference`` is how much larger the
    share is than that of ``baseline``, with its own interval; ``distinguishable`` says that 0 is not in it.
    These are None in the baseline's own rows.
    """

    row_id: str
    campaign: str
    variant: str
    outcome: str
    people: int
    count: int
    share: float
    low: float
    high: float
    baseline: str
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    distinguishable: bool | None = None


class Outcomes:
    """Outcomes by variant: counts of who was reached, answered and opted out.

    They are from receipts and inbound messages.

    A person counts once for each outcome, whatever the number of their messages; eight bytes are kept of
    each.
    """

    def __init__(self) -> None:
        self.unassigned: int = 0  # receipts without a variant
        self.pending: int = 0  # messages that may still be delivered or fail
        self._people: dict[str, NumberSet] = {}
        self._found: dict[tuple[str, str], NumberSet] = {}

    def add(self, variant: str | None, person: str | None, status: str) -> None:
        """Add a receipt."""
        if not variant or not person:
            self.unassigned += 1
            return
        key = key_of(person)
        self._people.setdefault(variant, NumberSet()).add([key])
        self.pending += status not in _ENDED
        if status in DELIVERED:
            self._add(variant, "delivered", key)
        elif status in FAILED:
            self._add(variant, "failed", key)

    def add_answers(self, messages: Iterable[InboundMessage], redaction: Redaction) -> None:
        """Add inbound messages from people with receipts, whom ``redaction`` names as the receipts do."""
        for message in messages:
            key = key_of(redaction.number(message.sender) or "?")
            for variant, people in self._people.items():
                if people.among([key]):
                    self._add(
                        variant, "opted_out" if _WORDS.kind_of(message.body) == "stop" else "replied", key
                    )

    def rows(self, campaign: str, baseline: str | None, confidence: float) -> list[VariantOutcome]:
        """The report; ``baseline`` is the variant that the others are held against, or else the first one.

        Raises :class:`InvalidInput` where there is no such variant.
        """
        names = sorted(self._people)
        first = baseline or (names[0] if names else "")
        if baseline and baseline not in names:
            told = f"Use one of {', '.join(names)}" if names else "No receipt has a variant"
            raise InvalidInput.at("baseline", f"there is no variant {baseline!r} in the receipts", told)
        several = 1 - (1 - confidence) / max(1, len(names) - 1)
        return [
            self._row(campaign, name, outcome, first, confidence, several)
            for name in names
            for outcome in OUTCOMES
        ]

    def _row(
        self, campaign: str, name: str, outcome: str, first: str, confidence: float, several: float
    ) -> VariantOutcome:
        own, base = self._count(name, outcome), self._count(first, outcome)
        count, people = own
        row = VariantOutcome(
            f"{campaign}.{name}.{outcome}",
            campaign,
            name,
            outcome,
            people,
            count,
            count / people if people else 0.0,
            *wilson(count, people, confidence),
            first,
        )
        if name == first:
            return row
        low, high = newcombe(own, base, several)
        return msgspec.structs.replace(
            row,
            difference=row.share - (base[0] / base[1] if base[1] else 0.0),
            difference_low=low,
            difference_high=high,
            distinguishable=not low <= 0 <= high,
        )

    def _count(self, variant: str, outcome: str) -> tuple[int, int]:
        found = self._found.get((variant, outcome))
        return len(found) if found is not None else 0, len(self._people[variant])

    def _add(self, variant: str, outcome: str, key: int) -> None:
        self._found.setdefault((variant, outcome), NumberSet()).add([key])


def describe(rows: Sequence[VariantOutcome]) -> list[str]:
    """Put the report in words, a line for each row: which differences are distinguishable and which not."""
    told = []
    for row in rows:
        share = f"{row.outcome} {row.variant}: {row.count:,} of {row.people:,}, {row.share:.2%}"
        share += f" ({row.low:.2%} to {row.high:.2%})"
        if row.difference is None or row.difference_low is None or row.difference_high is None:
            told.append(share)
            continue
        verdict = "distinguishable" if row.distinguishable else "not distinguishable"
        told.append(
            f"{share}; {100 * row.difference:+.2f} points to {row.baseline} "
            f"({100 * row.difference_low:+.2f} to {100 * row.difference_high:+.2f}): {verdict}"
        )
    return told
