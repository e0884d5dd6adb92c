"""Samples of calls, and the resources that they refer to."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote_plus

from airflow_provider_twilio_comms.api.wire import Call

__all__ = ["URL", "URL_", "A", "Sample", "World"]

A = "/2010-04-01/Accounts/<account>"
URL, URL_ = "https://example.com/a?b=c", "https%3A%2F%2Fexample.com%2Fa%3Fb%3Dc"


@dataclass(frozen=True)
class World:
    """The resources of an account, by SID. Those named ``spare`` are in no service."""

    account: str = "AC" + "a" * 32
    message: str = "SM" + "1" * 32
    scheduled: str = "SM" + "2" * 32
    with_media: str = "MM" + "3" * 32
    media: str = "ME" + "4" * 32
    number: str = "PN" + "5" * 32
    spare_number: str = "PN" + "6" * 32
    short_code: str = "SC" + "7" * 32
    spare_short_code: str = "SC" + "8" * 32
    service: str = "MG" + "9" * 32
    spare_service: str = "MG" + "a" * 32
    alpha_sender: str = "AI" + "b" * 32
    destination: str = "AI" + "c" * 32
    channel_sender: str = "XE" + "d" * 32
    spare_channel_sender: str = "XE" + "e" * 32
    content: str = "HX" + "f" * 32
    sender: str = "+15005550006"
    to: str = "+14155552671"
    for_sale: str = "+12025550143"
    for_sale_mobile: str = "+447700900143"
    for_sale_toll_free: str = "+18005550143"
    whatsapp: str = "+14155238886"
    now: datetime = datetime(2026, 7, 1, 9, 30, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Sample:
    """A call with the request that it must become.

    A :class:`World` gives the account's resources: made-up SIDs to test the encoding, the emulator's when the
    call is sent. ``wire`` is method, path and query, ``form`` or ``json`` the body, all exact; in them
    ``<name>`` stands for a field of the world.
    """

    name: str
    call: Callable[[World], Call[Any]]
    wire: str
    form: str | None = None
    json: Any = None

    def expected(self, text: str, world: World) -> str:
        return re.sub(r"<(\w+)>", lambda match: quote_plus(str(getattr(world, match[1]))), text)
