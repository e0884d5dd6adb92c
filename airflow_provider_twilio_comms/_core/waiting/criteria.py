"""Criteria of a good send, as plain data. Light: every DAG file that holds a Twilio task imports it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.api.comms.operations import Stats

Amount: TypeAlias = "float | int"
WaitFor = Literal["accepted", "processed", "delivered"]
OnUnknown = Literal["fail", "resend", "assume_sent"]


USUAL_MAX_FAILED = 0.05  # of a processed send, where the author says nothing


@dataclass(frozen=True)
class Criteria:
    """Criteria that a task has for its send. An amount is a share (a float, 0.0 to 1.0) or a count (an int).

    With ``wait_for="delivered"`` every message has to arrive unless ``min_delivered`` says less. With
    ``"processed"``, no more than 5 % may have failed unless ``max_failed`` says otherwise.
    """

    wait_for: WaitFor = "processed"
    min_delivered: Amount | None = None
    max_failed: Amount | None = None

    def __post_init__(self) -> None:
        if self.wait_for not in ("accepted", "processed", "delivered"):
            raise InvalidInput.at(
                "wait_for", f"{self.wait_for!r} is unknown", "Use accepted, processed or delivered"
            )
        for name in ("min_delivered", "max_failed"):
            amount = getattr(self, name)
            if amount is None:
                continue
            bad = isinstance(amount, bool) or not isinstance(amount, (int, float)) or amount < 0
            if bad or (isinstance(amount, float) and amount > 1):
                raise InvalidInput.at(
                    name, f"{amount!r} is not an amount", "Give a share such as 0.98, or a count such as 100"
                )
        if self.min_delivered is not None and self.wait_for != "delivered":
            raise InvalidInput.at(
                "min_delivered", f"says nothing with {self.wait_for!r}", "Set wait_for='delivered'"
            )
        if self.max_failed is not None and self.wait_for == "accepted":
            raise InvalidInput.at("max_failed", "says nothing with 'accepted'", "Set wait_for='processed'")

    def check_counts(self, recipients: int) -> list[str]:
        """Check counts against the length of the list; returns a warning for each that looks like per cent.

        Raises :class:`InvalidInput` for a count that is above the length.
        """
        warnings = []
        for name in ("min_delivered", "max_failed"):
            count = getattr(self, name)
            if not isinstance(count, int) or count < 2:
                continue
            share = f"a share such as {count / 100 if count <= 100 else 0.95:g}"
            if count > recipients:
                problem = f"{count:,} is a count, above the {pluralize(recipients, 'recipient')} of the list"
                raise InvalidInput.at(name, problem, f"Nothing was sent. Give {share}, or a smaller count")
            if count <= 100 and count < recipients:
                warnings.append(
                    f"{name}={count} is a count: {count:,} of {recipients:,} recipients, "
                    f"{100 * count / recipients:.1f} %. If per cent were meant, give {share}"
                )
        return warnings

    @property
    def enough(self) -> Amount | None:
        """The amount that ends a wait for delivery early; None where every receipt counts."""
        if self.wait_for != "delivered" or self.max_failed is not None:
            return None
        return 1.0 if self.min_delivered is None else self.min_delivered

    @property
    def tolerated(self) -> Amount | None:
        """The amount that may fail; None where it is what arrives that counts."""
        usual = USUAL_MAX_FAILED if self.wait_for == "processed" else None
        return usual if self.max_failed is None else self.max_failed

    @property
    def asked(self) -> str:
        """The criteria in words."""
        asked = []
        if self.wait_for == "delivered":
            asked.append("all" if self.min_delivered is None else f"at least {_share(self.min_delivered)}")
        if self.tolerated is not None:
            asked.append(f"at most {_share(self.tolerated)} failed")
        return ", ".join(asked)

    def shortfall(self, stats: Stats, recipients: int = 0) -> str | None:
        """Describe what is missing of what was sent to so many; None where it is good enough."""
        asked = max(stats.asked, recipients)
        if self.tolerated is not None and stats.lost > (allowed := at_most(self.tolerated, asked)):
            named = f"max_failed={self.tolerated}" + (" (the default)" if self.max_failed is None else "")
            return f"{stats.lost:,} of {asked:,} failed, and {named} allows {allowed:,}"
        if self.wait_for == "delivered":
            wanted = amount_of(1.0 if self.min_delivered is None else self.min_delivered, asked)
            if stats.arrived < wanted:
                needed = "all were required"
                if self.min_delivered is not None:
                    needed = f"min_delivered={self.min_delivered} requires {wanted:,}"
                elif self.max_failed is not None:
                    needed += " (set min_delivered=0.0 to leave the verdict to max_failed)"
                return f"{stats.arrived:,} of {asked:,} were delivered, and {needed}"
        return None


def amount_of(amount: int | float, asked: int) -> int:
    """A count as it is; a share of what was asked for, rounded up."""
    return amount if isinstance(amount, int) else math.ceil(round(amount * asked, 6))


def at_most(amount: int | float, asked: int) -> int:
    """A count as it is; a share of what was asked for, rounded down: 0.02 of 10 is nobody."""
    return amount if isinstance(amount, int) else math.floor(round(amount * asked, 6))


def _share(amount: int | float) -> str:
    return f"{amount:,}" if isinstance(amount, int) else f"{round(100 * amount, 1):g} %"
