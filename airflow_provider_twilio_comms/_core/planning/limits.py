"""Limits of a send: people, segments and cost. Light: every DAG file that sends imports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from airflow_provider_twilio_comms.exceptions import InvalidInput

OnDuplicate = Literal["equal", "keep", "first", "last"]


@dataclass(frozen=True)
class Limits:
    """The most that a send may be: people, segments of all texts together, and money."""

    recipients: int | None = None
    segments: int | None = None
    cost: Decimal | None = None

    @classmethod
    def checked(cls, recipients: Any, segments: Any, cost: Any) -> Limits:
        """Raises :class:`InvalidInput` for what is no limit."""
        for name, value in (("max_recipients", recipients), ("max_segments", segments)):
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            if value is not None and not whole:
                raise InvalidInput.at(name, f"{value!r} is not a count", "Give a number such as 10000")
        try:
            money = None if cost is None else Decimal(str(cost))
        except InvalidOperation:
            money = Decimal(-1)
        if money is not None and not money >= 0:
            raise InvalidInput.at("max_cost", f"{cost!r} is not an amount", "Give one such as 250 or '99.50'")
        return cls(recipients, segments, money)

    @property
    def of_texts(self) -> bool:
        """Tell whether texts have to be counted for them."""
        return self.segments is not None or self.cost is not None

    def check(self, report: Mapping[str, Any]) -> None:
        """Raises :class:`InvalidInput` where a report exceeds a limit, or cannot tell."""
        self.check_recipients(report["recipients"])
        segments, cost = report.get("segments"), report.get("cost")
        if self.segments is not None:
            if not segments:
                raise InvalidInput.at("max_segments", "segments cannot be counted here", _FIX_TEXT)
            if segments["total"] > self.segments:
                _over("max_segments", f"{segments['total']:,} segments", f"{self.segments:,}")
        if self.cost is None:
            return
        if not segments:
            raise InvalidInput.at("max_cost", "segments cannot be counted here", _FIX_TEXT)
        if not cost or cost["unpriced"]:
            countries = ", ".join(cost["unpriced"][:10]) if cost else "any country"
            kind = "an MMS" if segments.get("mms") else "a text from this sender"
            raise InvalidInput.at(
                "max_cost",
                f"Twilio's price list has no single price for {countries}, or none of {kind}: nothing was "
                "sent",
                "Leave these numbers out, or do without max_cost",
            )
        if Decimal(cost["high"]) > self.cost:
            _over("max_cost", f"up to {cost['high']} {cost['unit']}", f"{self.cost} {cost['unit']}")

    def check_recipients(self, count: int) -> None:
        """Refuse too many recipients early: nobody reads a whole table to learn that it is too long."""
        if self.recipients is not None and count > self.recipients:
            _over("max_recipients", f"at least {count:,} recipients", f"{self.recipients:,}")


_FIX_TEXT = "Send a text as SMS, or do without this limit"


def _over(field: str, found: str, allowed: str) -> None:
    raise InvalidInput.at(field, f"the send is {found}, and {allowed} is the limit: nothing was sent", _FIX)


_FIX = "Check the source, or raise the limit"
