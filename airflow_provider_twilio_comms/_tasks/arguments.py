"""Check and read the arguments of operators and sensors."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import XComArg
from airflow.sdk.configuration import conf

from airflow_provider_twilio_comms.exceptions import InvalidInput


def seconds(value: timedelta | float) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def duration_of(name: str, value: timedelta | float) -> float:
    """Seconds that can be checked when the DAG is parsed. Raises :class:`InvalidInput` for less than none."""
    known = isinstance(value, (timedelta, int, float)) and not isinstance(value, bool)
    if not known or not seconds(value) >= 0:
        raise InvalidInput.at(name, f"{value!r} is not a duration", "Give seconds from 0 up, or a timedelta")
    return seconds(value)


def send_at_of(given: datetime | str | None) -> datetime | str | None:
    """Check ``send_at`` when the DAG is parsed, unless it is a template. Raises :class:`InvalidInput`."""
    if isinstance(given, datetime) or (
        isinstance(given, str) and given.strip() and not _holds_template(given)
    ):
        from airflow_provider_twilio_comms._core.sending.bulk import parse_moment
        from airflow_provider_twilio_comms.api._times import aware

        if (moment := parse_moment(given)) is not None:
            aware("send_at", moment)
    return given


def one_of(name: str, value: Any, *allowed: str) -> Any:
    """A choice that can be checked when the DAG is parsed. Raises :class:`InvalidInput`."""
    if value not in allowed:
        raise InvalidInput.at(name, f"{value!r} is unknown", f"Use {', '.join(allowed)}")
    return value


def count_of(name: str, value: int, most: int) -> int:
    """A number from 1 that can be checked when the DAG is parsed. Raises :class:`InvalidInput`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInput.at(name, f"{value!r} is not possible", f"Give a number from 1 to {most:,}")
    return value


def wait_for_of(value: Any, until: Any, default: str) -> Any:
    """``wait_for`` of a sensor, or with a warning its old name ``until``. Raises :class:`InvalidInput`."""
    if until is None:
        return value
    if value != default:
        raise InvalidInput.at("until", "is the old name of wait_for, and both are given", "Leave it out")
    from airflow.exceptions import AirflowProviderDeprecationWarning

    text = "until of sensors is wait_for now, as operators have it; the old name will go"
    warnings.warn(text, AirflowProviderDeprecationWarning, stacklevel=4)
    return until


def or_default(deferrable: bool | None) -> bool:
    """Decide whether to wait in the triggerer: as the author says, else as the configuration does."""
    if deferrable is not None:
        return deferrable
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def ids_of(field: str, given: Any, pattern: str, looks: str) -> list[str]:
    """Twilio's ids: one, several, or what a template makes of a list, which is its text.

    Raises :class:`InvalidInput` where there are none, or one that is not like ``looks``.
    """
    texts = (
        [part.strip("'\" ") for part in given.strip("[]() ").split(",")] if isinstance(given, str) else given
    )
    ids = [text for text in texts or () if text]
    if not ids:
        raise InvalidInput.at(field, "there are none", f"Give at least one: {looks}")
    for row, text in enumerate(ids, 1):
        if not isinstance(text, str) or not re.fullmatch(pattern, text):
            raise InvalidInput.at(field, "not a valid value", f"Expected {looks}", row)
    return list(dict.fromkeys(ids))


def content_of(content: Any, *, rendered: bool) -> Any:
    """A content that is a mapping, checked when the DAG is parsed, as far as it is known by then.

    ``rendered`` says that Jinja makes something else of it. Raises :class:`InvalidInput`.
    """
    if not isinstance(content, Mapping):
        return content
    from airflow_provider_twilio_comms.api.comms._arguments import checked_content
    from airflow_provider_twilio_comms.api.comms._rich_modules import as_mapping

    content = as_mapping(content)
    if _is_known(content) and not (rendered and _holds_template(content)):
        checked_content(content)
    return content


def check_sender(sender: Any) -> None:
    """Check a sender that is a mapping when the DAG is parsed, but for what templates and tasks give.

    Raises :class:`InvalidInput`.
    """
    if not isinstance(sender, Mapping) or not _is_known(sender):
        return
    from airflow_provider_twilio_comms.api.comms._arguments import checked_sender
    from airflow_provider_twilio_comms.api.comms._channels import checked_channels

    known = {
        name: value for name, value in sender.items() if name[:7] != "channel" or not _holds_template(value)
    }
    if set(known) == {"channels"}:
        checked_channels(known["channels"])
    elif known:
        checked_sender(known)


def pace_of(given: float | str | None) -> float | str | None:
    """Check a pace: more than nothing, ``unlimited``, or None for the sender's own."""
    if given is None or given == "unlimited":
        return given
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not given > 0:
        fix = "Give a number such as 10, 'unlimited', or nothing for the sender's own pace"
        raise InvalidInput.at("messages_per_second", f"{given!r} is not a pace", fix)
    return float(given)


def sender_of(sender: Any, default: str | None) -> Any:
    """The sender as given; else the connection's ``default``, of whose pool ``channels`` alone choose."""
    if not isinstance(sender, Mapping) or set(sender) != {"channels"}:
        return sender or default
    if not (default or "").startswith("comms_senderpool_"):
        raise InvalidInput.at(
            "sender",
            "has channels and no pool, and the connection's default_sender is not a sender pool",
            "Add sender_pool_id",
        )
    return {"sender_pool_id": default, **sender}


def _is_known(value: Any) -> bool:
    """Tell if no other task gives any of it."""
    return not any(True for _ in XComArg.iter_xcom_references(value))


def _holds_template(value: Any) -> bool:
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(map(_holds_template, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_holds_template, value))
