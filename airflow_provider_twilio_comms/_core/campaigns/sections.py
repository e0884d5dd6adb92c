"""Sections of a list: recipients who may go in one request, since the same moments and text are theirs."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Placed(Protocol):
    """Anything to send to people in these time zones, of this country where its holidays matter."""

    @property
    def zones(self) -> tuple[str, ...]: ...

    @property
    def country(self) -> str: ...


class Section(NamedTuple):
    """The time zones that recipients can be in, their country (``US``) and their variant, if these matter."""

    zones: tuple[str, ...] = ()
    country: str = ""
    variant: str = ""
