"""Recipients to text again, chosen from receipts by verdict: nobody who may have been reached."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from airflow_provider_twilio_comms._core.recipients.number_sets import numbers_of
from airflow_provider_twilio_comms._core.recipients.reader import Address, Reader, batches
from airflow_provider_twilio_comms._core.reporting.receipts import FAILED
from airflow_provider_twilio_comms.exceptions import InvalidInput

COLUMNS = ("recipient", "status", "verdict", "recipient_channel", "profile_id", "memory_store_id")
_NEEDED = frozenset(COLUMNS[:3])
_PROFILE = "mem_profile_"
_HASH = re.compile(r"[0-9a-f]{64}")


def choose(
    rows: Callable[[], Iterable[Mapping[str, Any]]], verdicts: Collection[str]
) -> dict[str, str | None]:
    """Choose the recipients to text again, with their channels; ``rows`` gives the receipts, twice.

    A stored person is named by the profile, with the memory store in the channel's place.

    A recipient of several messages is among them if each of those failed with one of the ``verdicts``.
    Raises :class:`InvalidInput` for what is no receipt.
    """
    found: dict[str, str | None] = {}
    for row in rows():
        if _failed(row, verdicts) and (name := _name(row)):
            stored = row.get("memory_store_id") if name.startswith(_PROFILE) else None
            found.setdefault(name, stored or row.get("recipient_channel"))
    for row in rows():
        if _name(row) in found and not _failed(row, verdicts):
            del found[_name(row)]
    return found


def _name(row: Mapping[str, Any]) -> str:
    return str(row.get("profile_id") or row.get("recipient") or "")


def _failed(row: Mapping[str, Any], verdicts: Collection[str]) -> bool:
    if not row.keys() >= _NEEDED:
        fix = "Give what TwilioReceiptsOperator wrote"
        raise InvalidInput.at("receipts", "a row lacks recipient, status or verdict", fix)
    return row["status"] in FAILED and row["verdict"] in verdicts


def are_hashed(found: Iterable[str]) -> bool:
    """Tell if recipients are hashes of numbers."""
    return any(_HASH.fullmatch(each) for each in found)


def without_variables(
    found: Mapping[str, str | None], channel: str | None = None
) -> Iterator[dict[str, Any]]:
    """Write the recipients as Twilio takes them, by number or profile alone.

    ``channel`` is that of the resend; left out, the one of the receipt.
    """
    if are_hashed(found):
        raise InvalidInput.at(
            "receipts",
            "hold hashes in place of numbers",
            "Give recipients to look them up in, or receipts with redact='none'",
        )
    for number, other in found.items():
        if number.startswith(_PROFILE) and other and other.startswith("mem_"):
            yield {"profileId": number, "memoryStoreId": other}
        elif number.startswith("+"):
            yield {"address": number, "channel": channel or other or "PHONE"}


def join(
    found: Mapping[str, str | None],
    rows: Iterable[Any],
    reader: Reader,
    name: Callable[[str], str | None],
    channel: str | None = None,
) -> Iterator[Any]:
    """Pick those that were found of ``rows``, which are recipients in any form, with their variables.

    ``name`` says how receipts write a number; ``channel`` is that of the resend, if not the recipients' own.
    """
    missing, first = set(found), 1
    for batch in batches(rows):
        for recipient in reader.read(batch, first).recipients:
            numbers = numbers_of(recipient)
            names = {each if each.startswith(_PROFILE) else name(each) for each in numbers} & found.keys()
            if names:
                missing -= names
                own = {"channel": channel} if channel and isinstance(recipient, Address) else {}
                yield {**msgspec.to_builtins(recipient), **own}
        first += len(batch)
    if missing:
        raise InvalidInput.at(
            "recipients",
            f"lack {len(missing):,} of the {len(found):,} to text again",
            "Give those of the first send; hashes need the hash_secret that they were made with",
        )
