"""Recipients of a bulk send in Twilio's forms, checked before anything is sent.

One bad recipient is a 400 of the whole request of up to 10,000.
https://www.twilio.com/docs/bulk-messaging/api/message-resource
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_twilio_comms.api.audiences._assumed import COHORT_RECIPIENT, SNAPSHOT_RECIPIENT
from airflow_provider_twilio_comms.exceptions import InvalidInput

MAX_ADDRESSES = 10  # of one recipient
CHANNELS = ("PHONE", "WHATSAPP")
_GROUPS = {COHORT_RECIPIENT, SNAPSHOT_RECIPIENT}
_FORM = 'Give {"address", "channel"}, {"addresses"} or {"profileId", "memoryStoreId"}, and {"variables"}'


def checked_addresses(to: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """Check recipients and collect their addresses. A profile or a group counts as one, named by its id: the
    numbers are not known.

    Raises :class:`InvalidInput` with the row, never with the address.
    """
    found: list[str] = []
    for row, recipient in enumerate(to, 1):
        if not isinstance(recipient, Mapping):
            raise InvalidInput.at("to", "is not a recipient", _FORM, row)
        _check_variables(recipient.get("variables", {}), row)
        names = set(recipient) - {"variables"}
        if names == {"addresses"}:
            found += _connected(recipient["addresses"], row)
        elif names == {"profileId", "memoryStoreId"}:
            found.append(_profile(recipient, row))
        elif len(names) == 1 and names <= _GROUPS:
            found.append(str(recipient[next(iter(names))]))
        else:
            found.append(_address(recipient, names, row))
    return found


def _address(party: Any, names: set[str], row: int) -> str:
    if names != {"address", "channel"}:
        raise InvalidInput.at("to", "is not a recipient", _FORM, row)
    if party["channel"] not in CHANNELS:
        raise InvalidInput.at(
            "to", "the channel is unknown", "Use PHONE (for SMS, MMS and RCS) or WHATSAPP", row
        )
    if not isinstance(party["address"], str) or not party["address"]:
        raise InvalidInput.at("to", "the address is not text", "Give a number such as +1...", row)
    return party["address"]


def _connected(addresses: Any, row: int) -> list[str]:
    if not isinstance(addresses, (list, tuple)) or not 1 <= len(addresses) <= MAX_ADDRESSES:
        raise InvalidInput.at("to", "has no list of 1 to 10 addresses", "Twilio takes up to 10 a person", row)
    return [_address(party, set(party) if isinstance(party, Mapping) else set(), row) for party in addresses]


def _profile(recipient: Mapping[str, Any], row: int) -> str:
    profile, store = recipient["profileId"], recipient["memoryStoreId"]
    if not str(profile).startswith("mem_profile_") or not str(store).startswith("mem_store_"):
        raise InvalidInput.at("to", "is not a profile", "Give ids of mem_profile_ and mem_store_", row)
    return str(profile)


def _check_variables(variables: Any, row: int) -> None:
    fine = isinstance(variables, Mapping) and all(
        isinstance(name, str) and isinstance(value, str) for name, value in variables.items()
    )
    if not fine:
        raise InvalidInput.at("to", "has variables that are not texts by name", "Write numbers as text", row)
