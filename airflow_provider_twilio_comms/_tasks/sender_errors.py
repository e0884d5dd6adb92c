"""Errors of a sender that Twilio does not take: they name the place that the sender comes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_twilio_comms.exceptions import ApiError

# Twilio's codes for a sender that is wrong, missing or somebody else's.
CODES = frozenset({21212, 21601, 21603, 21606, 21607, 21616, 21657, 21659, 21660, 21703, 21704, 63007})


@contextmanager
def naming_sender(argument: str | None, conn_id: str, chosen: bool = False) -> Iterator[None]:
    """Add to an error of the sender which argument names it; with None, the connection does.

    ``chosen`` says that Twilio has chosen it, so that neither does.
    """
    try:
        yield
    except ApiError as error:
        if error.code not in CODES or chosen:
            raise
        place = argument or f"default_sender of the connection {conn_id!r}"
        carried = {name: getattr(error, name) for name in error.fields}
        raise type(error)(f"{error.message}. The sender is that of {place}", **carried) from None
