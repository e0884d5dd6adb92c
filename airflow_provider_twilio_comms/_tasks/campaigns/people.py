"""People in the tables of consent and of frequency caps: keyed hashes of their numbers."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_twilio_comms._core.privacy import Redaction
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.exceptions import InvalidInput


def hasher(config: Config) -> Callable[[str], str]:
    """Build the function that hashes a number with the connection's ``hash_secret``.

    Raises :class:`InvalidInput` where it has none: a key made of the credential is another one after its
    rotation, and nobody would be found by it.
    """
    if not config.hash_secret:
        raise InvalidInput.at(
            "hash_secret",
            "is missing, and the people in the table are known by hashes with that key",
            "Set hash_secret in the connection's extra (16 characters or more), and keep it",
        )
    redaction = Redaction("numbers", config.hash_secret)
    return lambda number: redaction.number(number) or ""
