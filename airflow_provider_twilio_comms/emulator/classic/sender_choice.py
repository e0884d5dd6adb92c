"""Choice of a messaging service's sender: https://www.twilio.com/docs/messaging/services#sender-selection

Sticky sender first: whoever heard from a number of the service hears from it again. Else the senders of the
recipient's country, of these (``AreaCodeGeomatch``) those of the recipient's area code; numbers and short
codes before alphanumeric ones; and among the rest the one with the shortest queue, or the least used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import phonenumbers

from airflow_provider_twilio_comms.emulator.classic.sender_queues import Queues
from airflow_provider_twilio_comms.emulator.classic.services import Entry, Service
from airflow_provider_twilio_comms.emulator.http import Problem

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["SenderChoice"]

_AREA = 5  # characters of +1 and an area code of North America


class SenderChoice:
    """The senders that were chosen: how often, and for whom, by service."""

    def __init__(self, twilio: State) -> None:
        self._twilio = twilio
        self._used: Counter[tuple[str, str]] = Counter()
        self._sticky: dict[tuple[str, str], str] = {}
        self._nearest: dict[tuple[str, int, bool, str, str], Sequence[str]] = {}

    def choose(self, service: Service, to: str) -> str:
        """Choose the sender for a recipient, of their channel. Raises a 400 (21704) if there is none."""
        sticky = service.setting("sticky_sender")
        known = self._sticky.get((service.sid, to)) if sticky else None
        if known in service.addresses:
            return known
        fitting = self._fitting(service, to)
        wait, used = self._twilio.part(Queues).wait, self._used
        chosen = min(fitting, key=lambda address: (wait(address), used[service.sid, address]))
        used[service.sid, chosen] += 1
        if sticky:
            self._sticky[service.sid, to] = chosen
        return chosen

    def _fitting(self, service: Service, to: str) -> Sequence[str]:
        """List the senders among which a recipient's is chosen; it is the same for all of an area."""
        channel, by_area_code = to.rpartition(":")[0], service.setting("area_code_geomatch")
        key = (service.sid, service.version, by_area_code, channel, "" if channel else to[:_AREA])
        if key not in self._nearest:
            fitting = [entry for entry in service.entries() if entry.address.rpartition(":")[0] == channel]
            if not fitting:
                raise Problem(400, 21704, f"The messaging service has no sender that reaches {to}.")
            nearest = _nearest(fitting, to, by_area_code)
            self._nearest[key] = [entry.address for entry in nearest]
        return self._nearest[key]


def _nearest(entries: Sequence[Entry], to: str, by_area_code: bool) -> Sequence[Entry]:
    """Keep the senders that are nearest to a recipient; a step that none of them passes keeps all."""
    steps: list[Callable[[Entry], bool]] = [
        lambda entry: not any(char.isalpha() for char in entry.address),
        lambda entry: entry.row.get("country_code") == _country(to[:_AREA]),
    ]
    if by_area_code and to.startswith("+1"):
        steps.append(lambda entry: entry.address.startswith(to[:_AREA]) and len(entry.address) == len(to))
    for step in steps if not to.rpartition(":")[0] else ():
        entries = [entry for entry in entries if step(entry)] or entries
    return entries


@lru_cache(100_000)
def _country(beginning: str) -> str | None:
    """Find the country (ISO) of the numbers that begin so: their calling code, and in +1 their area code."""
    for length in (2, 3, 4):
        code = beginning[1:length]
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code), ()) if code else ()
        if len(regions) > 1 and code == "1":
            number = phonenumbers.PhoneNumber(1, int(f"{beginning[2:]}5550100"))
            return phonenumbers.region_code_for_number(number)
        if regions:
            return str(regions[0])
    return None
