"""Channels of a sender pool, validated: the ones that may be used, and which is preferred.

https://www.twilio.com/docs/bulk-messaging/channel-fallback
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from airflow_provider_twilio_comms.exceptions import InvalidInput

SenderChannel = Literal["SMS", "RCS", "WHATSAPP"]

_FIX = (
    "Give a list, the preferred channel first, such as ['RCS', 'SMS']; or a mapping such as "
    "{'filter_in': ['RCS', 'SMS'], 'priority': {'RCS': 1, 'SMS': 2}}"
)


def checked_channels(channels: Any) -> dict[str, Any]:
    """Validate a pool's channels and write them in Twilio's form.

    A list, such as ``["RCS", "SMS"]``: these only, the first one preferred, the others its fallback. Or a
    mapping with ``filter_in``, the channels that may be used, and ``priority``, numbers by channel, lowest
    first (Twilio's own ``filterIn`` and list of ``{"channel", "priority"}`` too). Raises
    :class:`InvalidInput`.
    """
    if isinstance(channels, Mapping):
        return _controls(channels)
    if not isinstance(channels, (list, tuple)) or not channels:
        raise InvalidInput.at("sender.channels", "not a valid value", _FIX)
    listed = [_channel("sender.channels", each) for each in channels]
    _check_once("sender.channels", listed)
    return {
        "filterIn": listed,
        "priority": [{"channel": each, "priority": number} for number, each in enumerate(listed, 1)],
    }


def _controls(given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(given) - {"filter_in", "filterIn", "priority"}
    if unknown or not given or {"filter_in", "filterIn"} <= set(given):
        raise InvalidInput.at("sender.channels", f"has {', '.join(sorted(given)) or 'nothing'}", _FIX)
    controls: dict[str, Any] = {}
    only = given.get("filter_in", given.get("filterIn"))
    if only is not None:
        if not isinstance(only, (list, tuple)) or not only:
            raise InvalidInput.at("sender.channels.filter_in", "not a valid value", _FIX)
        controls["filterIn"] = [_channel("sender.channels.filter_in", each) for each in only]
        _check_once("sender.channels.filter_in", controls["filterIn"])
    if given.get("priority") is not None:
        controls["priority"] = _priorities(given["priority"])
    return controls


def _priorities(given: Any) -> list[dict[str, Any]]:
    field = "sender.channels.priority"
    rows = given
    if isinstance(given, Mapping):
        rows = [{"channel": channel, "priority": number} for channel, number in given.items()]
    if not isinstance(rows, (list, tuple)):
        raise InvalidInput.at(field, "not a valid value", _FIX)
    for row in rows:
        if not isinstance(row, Mapping) or set(row) != {"channel", "priority"}:
            raise InvalidInput.at(field, "not a valid value", _FIX)
        if type(row["priority"]) is not int:
            raise InvalidInput.at(field, "a priority is not a whole number", _FIX)
    priorities = [{**row, "channel": _channel(field, row["channel"])} for row in rows]
    _check_once(field, [row["channel"] for row in priorities])
    return priorities


def _channel(field: str, given: Any) -> str:
    channel = given.upper() if isinstance(given, str) else given
    if channel not in get_args(SenderChannel):
        problem = f"{channel} is not a sender's channel"
        raise InvalidInput.at(field, problem, "Use SMS (MMS is SMS with media), RCS or WHATSAPP")
    return str(channel)


def _check_once(field: str, channels: Sequence[str]) -> None:
    if len(set(channels)) < len(channels):
        raise InvalidInput.at(field, f"repeats one of {', '.join(channels)}", "Give each channel once")
