"""Idempotency keys and the installation id that all tasks of this Airflow share, in its Variables."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from airflow.sdk import Variable
from airflow.sdk.configuration import conf

from airflow_provider_twilio_comms.exceptions import TwilioError, scrub

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._core.sending.shared_keys import Notes

T = TypeVar("T")
ID = "twilio_installation_id"
PREFIX = "twilio_send_"
_ABOUT_ID = "Tells this Airflow's sends from those of others on the same Twilio account; keep it"
_ABOUT_KEY = "A send_key of Twilio's operators, and what was sent under it; outlived after seven days"
SETTLE = 1.0  # seconds in which two tasks that make the id at once see which one stays
EXPIRED = 20  # notes that are looked through for those that are outlived


def installation_id() -> str:
    """The id of this Airflow, so that staging and production never find each other's messages.

    Made once and kept as an Airflow Variable, unless ``[twilio] installation_id`` says it. Raises
    :class:`TwilioError` where Variables can be neither read nor written.
    """
    configured = str(conf.get("twilio", "installation_id", fallback="") or "").strip()
    if configured:
        return configured
    try:
        found = _asked(lambda: Variable.get(ID, default=None))
        if not found:
            made = secrets.token_hex(8)
            _asked(lambda: Variable.set(ID, made, description=_ABOUT_ID))
            time.sleep(SETTLE)
            found = _asked(lambda: Variable.get(ID, default=None))
    except TwilioError as error:
        raise TwilioError(
            f"the id of this Airflow cannot be read from its Variables, so nothing was sent ({error}). A "
            "later try asks again; [twilio] installation_id in Airflow's configuration sets it without "
            "Variables"
        ) from error
    return str(found)


class VariableNotes:
    """Notes about keys, as Airflow Variables."""

    def read(self, name: str) -> str | None:
        found: str | None = _asked(lambda: Variable.get(PREFIX + name, default=None))
        return found

    def write(self, name: str, text: str) -> None:
        _asked(lambda: Variable.set(PREFIX + name, text, description=_ABOUT_KEY))


def shared_notes() -> Notes | None:
    """Find the store of keys; None outside of a running task, which has no Variables to write."""
    from airflow.sdk.execution_time import task_runner

    return VariableNotes() if hasattr(task_runner, "SUPERVISOR_COMMS") else None


def _asked(do: Callable[[], T]) -> T:
    try:
        return do()
    except Exception as error:  # whatever it is: Airflow wraps what the API server, or its absence, says
        raise TwilioError(
            f"Airflow's Variables do not answer ({type(error).__name__}: {scrub(str(error))})"
        ) from error
