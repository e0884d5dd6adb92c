"""Whom to text again, from receipts: those whom it may help, and nobody who may have been reached."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from airflow_provider_twilio_comms._core.recipients.number_sets import numbers_of
from airflow_provider_twilio_comms._core.recipients.reader import Reader, batches
from airflow_provider_twilio_comms._core.reporting.receipts import FAILED
from airflow_provider_twilio_comms.exceptions import InvalidInput

_PROFILE = "mem_profile_"
_HASH = re.compile(r"[0-9a-f]{64}")


def chosen(rows: Callable[[], Iterable[Mapping[str, Any]]]) -> dict[str, str | None]:
    """The recipients to text again, and their channels; ``rows`` gives the receipts, and is asked twice.

    A stored person is named by the profile, with the memory store in the channel's place.

    A recipient of several messages is among them if each of those failed in a way that a retry may mend.
    Raises :class:`InvalidInput` for what is no receipt.
    """
    found: dict[str, str | None] = {}
    for row in rows():
        if _again(row) and (name := _name(row)):
            stored = row.get("memory_store_id") if name.startswith(_PROFILE) else None
            found.setdefault(name, stored or row.get("recipient_channel"))
    for row in rows():
        if _name(row) in found and not _again(row):
            del found[_name(row)]
    return found


def _name(row: Mapping[str, Any]) -> str:
    return str(row.get("profile_id") or row.get("recipient") or "")


def _again(row: Mapping[str, Any]) -> bool:
    if not {"recipient", "status", "verdict"} <= set(row):
        fix = "Give what TwilioReceiptsOperator wrote"
        raise InvalidInput.at("receipts", "a row lacks recipient, status or verdict", fix)
    return row["status"] in FAILED and row["verdict"] == "retry"


def hashed(found: Iterable[str]) -> bool:
    """Whether recipients are hashes of numbers."""
    return any(_HASH.fullmatch(each) for each in found)


def plain(found: Mapping[str, str | None]) -> Iterator[dict[str, Any]]:
    """The recipients as Twilio takes them, by number or profile alone: without variables."""
    if hashed(found):
        raise InvalidInput.at(
            "receipts",
            "hold hashes in place of numbers",
            "Give recipients to look them up in, or receipts with redact='none'",
        )
    for number, channel in found.items():
        if number.startswith(_PROFILE) and channel and channel.startswith("mem_"):
            yield {"profileId": number, "memoryStoreId": channel}
        elif number.startswith("+"):
            yield {"address": number, "channel": channel or "PHONE"}


def joined(
    found: Mapping[str, str | None], rows: Iterable[Any], reader: Reader, name: Callable[[str], str | None]
) -> Iterator[Any]:
    """Of ``rows``, which are recipients in any form, those that were found, with their variables.

    ``name`` says how receipts write a number.
    """
    missing, first = set(found), 1
    for batch in batches(rows):
        for recipient in reader.read(batch, first).recipients:
            numbers = numbers_of(recipient)
            names = {each if each.startswith(_PROFILE) else name(each) for each in numbers} & found.keys()
            if names:
                missing -= names
                yield msgspec.to_builtins(recipient)
        first += len(batch)
    if missing:
        raise InvalidInput.at(
            "recipients",
            f"lack {len(missing):,} of the {len(found):,} to text again",
            "Give those of the first send; hashes need the hash_secret that they were made with",
        )
