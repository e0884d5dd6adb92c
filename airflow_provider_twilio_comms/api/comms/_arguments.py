"""Arguments of a bulk send, validated strictly: content, sender, schedule and tags.

https://www.twilio.com/docs/bulk-messaging/api/message-resource
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

from airflow_provider_twilio_comms.api._times import timestamp
from airflow_provider_twilio_comms.api.comms._channels import SenderChannel, checked_channels
from airflow_provider_twilio_comms.api.comms._elsewhere import ELSEWHERE
from airflow_provider_twilio_comms.api.comms._rich_modules import FORMS, SHORT, write_modules
from airflow_provider_twilio_comms.exceptions import InvalidInput

Content = dict[str, Any]
Sender = dict[str, Any]

MAX_TAGS = 10
_TAG = re.compile(r"[a-zA-Z0-9._~-]+")
_TEMPLATE = re.compile(r"HX[a-zA-Z0-9]{26,34}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_FORMS = {"text", "media", "content_sid", "modules"}
_RICH = SHORT | FORMS
_RCS = {"text", "contentInfo", "richCard"}
MAX_MODULES = 4


def checked_content(content: str | Mapping[str, Any]) -> Content:
    """Validate the content and write it in Twilio's form.

    A text; ``{"text", "media"}`` with media addresses; ``{"content_sid"}``, whose values are each recipient's
    variables; ``{"cards"}`` and the other names of
    :class:`~airflow_provider_twilio_comms.api.comms.rich_content.Rcs`; or ``{"modules"}``, one body per
    channel, whose inside is passed on as it is. Raises :class:`InvalidInput`.
    """
    given = {"text": content} if isinstance(content, str) else {**content}
    unknown = set(given) - _FORMS - _RICH
    if unknown:
        hints = dict.fromkeys(ELSEWHERE[name] for name in sorted(unknown) if name in ELSEWHERE)
        raise InvalidInput.at(
            "content",
            f"has unknown keys ({', '.join(sorted(unknown))})",
            ". ".join([*hints, f"Known are {', '.join(sorted(_FORMS | _RICH))}"]),
        )
    forms = {name for name, value in given.items() if value or (name in _RICH and value is not None)}
    if forms & _RICH and not forms & {"content_sid", "modules"}:
        return {"modules": list(write_modules({name: given[name] for name in forms}))}
    if len(forms - {"text"}) > 1 or (forms > {"text"} and forms != {"text", "media"}):
        raise InvalidInput.at(
            "content",
            f"mixes {', '.join(sorted(forms))}",
            "Give text and media, cards and suggestions with them, a content_sid, or modules",
        )
    if "modules" in forms:
        return {"modules": checked_modules(given["modules"])}
    if "content_sid" in forms:
        if not _TEMPLATE.fullmatch(str(given["content_sid"])):
            raise InvalidInput.at(
                "content",
                "content_sid is not a content template",
                "Expected HX and 26 to 34 letters, digits",
            )
        return {"contentId": given["content_sid"]}
    return _text(given.get("text"), given.get("media"))


def checked_modules(modules: Any) -> list[Mapping[str, Any]]:
    """Check that modules are 1 to 4, for one channel each, and rcs one kind of content."""
    if not isinstance(modules, (list, tuple)) or not 1 <= len(modules) <= MAX_MODULES:
        raise InvalidInput.at(
            "content", "modules are not a list of 1 to 4", "Give one for each channel: sms, rcs"
        )
    for number, module in enumerate(modules, 1):
        if not isinstance(module, Mapping) or len({"sms", "rcs"} & set(module)) != 1:
            raise InvalidInput.at("content", f"module {number} has not one channel", "Give sms or rcs")
        rcs = module.get("rcs")
        if rcs is not None and (not isinstance(rcs, Mapping) or len(_RCS & set(rcs)) != 1 or "media" in rcs):
            raise InvalidInput.at(
                "content",
                f"rcs of module {number} has not one kind of content",
                "Give text, contentInfo (a file) or richCard; media is a part of a card",
            )
    return list(modules)


def _text(text: Any, media: Any) -> Content:
    if text and not isinstance(text, str):
        raise InvalidInput.at("content", f"the text is of type {type(text).__name__}", "Give a string")
    if not (text and text.strip()) and not media:
        raise InvalidInput.at("content", "is empty", "Give a text, media, a content_sid or modules")
    urls = [media] if isinstance(media, str) else list(media or ())
    if len(urls) > 10:
        raise InvalidInput.at("content", f"has {len(urls)} media", "Twilio accepts up to 10")
    parts: Content = {"text": text} if text else {}
    if urls:
        parts["media"] = [{"url": url} if isinstance(url, str) else dict(url) for url in urls]
    return parts


def checked_sender(sender: str | Mapping[str, Any], channel: SenderChannel = "SMS") -> Sender:
    """Validate the sender and write it in Twilio's form.

    A number, short code or alphanumeric name (sent on ``channel``); ``whatsapp:+...``; ``rcs:<agent id>``;
    a sender or sender pool id; or a mapping with exactly one of ``address`` (and ``channel``),
    ``sender_id`` and ``sender_pool_id`` (and ``channels``, see :func:`checked_channels`). Raises
    :class:`InvalidInput`.
    """
    given = _named(sender, channel) if isinstance(sender, str) else dict(sender)
    forms = [name for name in ("address", "sender_id", "sender_pool_id") if given.get(name)]
    if len(forms) != 1:
        problem = f"gives {' and '.join(forms)}" if forms else "names no sender"
        if not forms and "channels" in given:
            problem += "; channels choose among the senders of a pool"
        raise InvalidInput.at("sender", problem, "Give exactly one of address, sender_id and sender_pool_id")
    form = forms[0]
    companion = {"address": "channel", "sender_pool_id": "channels"}.get(form)
    stray = set(given) - {form, companion}
    if stray:
        raise InvalidInput.at(
            "sender", f"{form} cannot be combined with {', '.join(sorted(stray))}", "Leave it out"
        )
    if form == "address":
        return _address(str(given["address"]).strip(), str(given.get("channel") or channel).upper())
    identifier = {"senderId" if form == "sender_id" else "senderPoolId": given[form]}
    if given.get("channels") is None:
        return identifier
    return {**identifier, "channels": checked_channels(given["channels"])}


def _address(address: str, channel: str) -> Sender:
    if _SERVICE.fullmatch(address):
        raise InvalidInput.at(
            "sender",
            "a Messaging Service does not send through the Communications API",
            "Use a sender pool, or TwilioSendMessageOperator for the service",
        )
    if channel not in get_args(SenderChannel):
        raise InvalidInput.at(
            "sender",
            f"{channel} is not a sender's channel",
            "Use SMS (MMS is SMS with media), RCS or WHATSAPP",
        )
    return {"address": address, "channel": channel}


def _named(sender: str, channel: SenderChannel) -> dict[str, Any]:
    sender = sender.strip()
    for prefix, name in (("comms_senderpool_", "sender_pool_id"), ("comms_sender_", "sender_id")):
        if sender.startswith(prefix):
            return {name: sender}
    scheme, colon, address = sender.partition(":")
    if colon and scheme in ("whatsapp", "rcs"):
        return {"address": address, "channel": scheme.upper()}
    return {"address": sender, "channel": channel}


def checked_tags(
    tags: Mapping[str, str] | None, limit: int = MAX_TAGS, literal: bool = False
) -> dict[str, str]:
    """Validate tags: up to ``limit``, of letters, digits and ``. _ ~ -``.

    A value may be Liquid, unless ``literal``, as in a filter.
    """
    tags = dict(tags or {})
    if len(tags) > limit:
        own = MAX_TAGS - limit
        reason = f", and {own} {'is' if own == 1 else 'are'} the provider's own" if own else ""
        raise InvalidInput.at("tags", f"{len(tags)} given", f"Twilio accepts up to {MAX_TAGS}{reason}")
    for key, value in tags.items():
        if not _TAG.fullmatch(str(key)) or len(key) > 128:
            raise InvalidInput.at("tags", f"the key {key!r} is not allowed", _TAG_FIX)
        if not isinstance(value, str) or not 1 <= len(value) <= 256:
            raise InvalidInput.at(
                "tags", f"the value of {key!r} is not 1 to 256 characters of text", _TAG_FIX
            )
        if (literal or "{{" not in value) and not _TAG.fullmatch(value):
            raise InvalidInput.at("tags", f"the value of {key!r} is not allowed", _TAG_FIX)
    return tags


_TAG_FIX = "Use letters, digits and . _ ~ - (no colon, space or slash)"


def schedule(send_at: datetime) -> dict[str, Sequence[str]]:
    """Schedule a send for one moment in UTC. Raises :class:`InvalidInput` for a naive datetime."""
    return {"sendAt": [timestamp("send_at", send_at)]}
