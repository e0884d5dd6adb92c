"""Rich content, validated and written as Twilio's channel modules.

https://www.twilio.com/docs/bulk-messaging/api/message-resource
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, get_args

import msgspec

from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api._times import timestamp
from airflow_provider_twilio_comms.api.comms.rich_content import (
    Alignment,
    Application,
    CalendarEvent,
    Card,
    File,
    Height,
    Location,
    Media,
    OpenUrl,
    Orientation,
    Rcs,
    Sms,
    Suggestion,
    ViewMode,
    Width,
)
from airflow_provider_twilio_comms.exceptions import InvalidInput

T = TypeVar("T", bound=msgspec.Struct)

_CHOICES: Mapping[str, Any] = {
    "application": Application,
    "webview_view_mode": ViewMode,
    "height": Height,
    "card_width": Width,
    "card_orientation": Orientation,
    "thumbnail_image_alignment": Alignment,
}
# Names that make a content rich without saying "rcs"; a text or media beside them are for everyone else.
SHORT: frozenset[str] = frozenset(Rcs.__struct_fields__) - {"text"}
FORMS: frozenset[str] = frozenset({"rcs", "sms"})


def write_modules(given: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Validate a rich content and write it as Twilio's ``modules``, RCS first.

    ``given`` is ``{"rcs", "sms"}``, or the names of :class:`Rcs` with ``text`` and ``media`` for phones
    without RCS. Raises :class:`InvalidInput` with the field, such as ``content.cards[1].title``.
    """
    short = bool(SHORT & set(given))
    if FORMS & set(given) and set(given) - FORMS:
        raise InvalidInput.at(
            "content",
            f"mixes {', '.join(sorted(given))}",
            "Give {'rcs': ..., 'sms': ...}, or cards, content_info and suggestions with a text",
        )
    if short:
        modules = _of_names(given)
    else:
        sms = given.get("sms")
        modules = {"rcs": given.get("rcs"), "sms": {"text": sms} if isinstance(sms, str) else sms}
    found: list[Mapping[str, Any]] = []
    place = "content" if short else "content.rcs"
    if modules["rcs"] is not None:
        found.append({"rcs": _rcs(_converted(modules["rcs"], Rcs, place), place)})
    if modules["sms"] is not None:
        place = "content" if short else "content.sms"
        found.append({"sms": _sms(_converted(modules["sms"], Sms, place), place)})
    return found


def _of_names(given: Mapping[str, Any]) -> dict[str, Any]:
    rcs = {name: value for name, value in given.items() if name in SHORT}
    sms = {name: value for name, value in given.items() if name not in SHORT and value}
    if not (rcs.get("cards") or rcs.get("content_info")):
        if "media" in sms:
            fix = "Put the media into a card, or write {'rcs': ..., 'sms': ...}"
            raise InvalidInput.at("content.suggestions", "cannot go with media", fix)
        rcs["text"] = sms.get("text")
    return {"rcs": rcs, "sms": sms or None}


def _converted(given: Any, form: type[T], place: str) -> T:
    try:
        return msgspec.convert(as_mapping(given), form)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        field = f"{place}{path.rstrip('`')}"
        name = field.rpartition(".")[2]
        if text.startswith("Invalid enum value"):
            choices = ", ".join(get_args(_CHOICES[name]))
            raise InvalidInput.at(field, "not a valid value", f"Use one of {choices}") from None
        raise InvalidInput.at(field, "not valid", _explained(text)) from None


def as_mapping(value: Any) -> Any:
    """Write the classes of this module as mappings, which are then validated: their constructors do not."""
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        return {name: as_mapping(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_mapping(each) for each in value]
    return value


def _explained(text: str) -> str:
    """Write what msgspec expects in words; it names fields and limits, never values."""
    if unknown := re.fullmatch(r"Object contains unknown field `(\w+)`", text):
        return f"There is no {unknown[1]} there"
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", text):
        return f"Give {missing[1]}"
    return text


def _rcs(rcs: Rcs, place: str) -> dict[str, Any]:
    forms = [name for name in ("text", "content_info", "cards") if getattr(rcs, name)]
    if len(forms) != 1:
        problem = f"gives {' and '.join(forms)}" if forms else "has neither text, content_info nor cards"
        raise InvalidInput.at(place, problem, "Give exactly one of text, content_info and cards")
    _check_layout(rcs, place)
    suggestions = _suggestions(rcs.suggestions, place)
    if rcs.text:
        return {"text": rcs.text, **suggestions}
    if rcs.content_info:
        return {"contentInfo": _file(rcs.content_info), **suggestions}
    cards = [_card(card, f"{place}.cards[{number}]") for number, card in enumerate(rcs.cards or ())]
    if len(cards) > 1:
        card = {"carouselCard": _given(cardWidth=rcs.card_width, cardContents=cards)}
    else:
        card = {
            "standaloneCard": _given(
                cardOrientation=rcs.card_orientation,
                thumbnailImageAlignment=rcs.thumbnail_image_alignment,
                cardContent=cards[0],
            )
        }
    return {"richCard": card, **suggestions}


def _check_layout(rcs: Rcs, place: str) -> None:
    """Refuse a layout that does not go with these cards."""
    cards = rcs.cards or []
    if rcs.card_width and len(cards) < 2:
        raise InvalidInput.at(f"{place}.card_width", "is that of a carousel", "Give 2 to 10 cards")
    for name in ("card_orientation", "thumbnail_image_alignment"):
        if getattr(rcs, name) and len(cards) != 1:
            raise InvalidInput.at(f"{place}.{name}", "is that of a single card", "Give one card")
    horizontal = rcs.card_orientation == "HORIZONTAL"
    if rcs.thumbnail_image_alignment and not horizontal:
        fix = "Set card_orientation to HORIZONTAL"
        raise InvalidInput.at(f"{place}.thumbnail_image_alignment", "is that of a horizontal card", fix)
    if horizontal and not (
        cards[0].media and (cards[0].title or cards[0].description or cards[0].suggestions)
    ):
        raise InvalidInput.at(
            f"{place}.cards[0]",
            "is horizontal",
            "A horizontal card needs media, and a title, description or suggestions",
        )


def _card(card: Card, place: str) -> dict[str, Any]:
    media = Media(file_url=card.media) if isinstance(card.media, str) else card.media
    content = _given(
        title=card.title,
        description=card.description,
        media=media and _given(contentInfo=_file(media), height=media.height),
        **_suggestions(card.suggestions, place),
    )
    if not content:
        fix = "Give at least one of title, description, media and suggestions"
        raise InvalidInput.at(place, "is empty", fix)
    return content


def _sms(sms: Sms, place: str) -> dict[str, Any]:
    if not (sms.text or sms.media):
        raise InvalidInput.at(place, "is empty", "Give a text, media, or both")
    urls = [sms.media] if isinstance(sms.media, str) else sms.media or ()
    if len(urls) > 10:
        raise InvalidInput.at(f"{place}.media", f"has {len(urls)} media", "Twilio accepts up to 10")
    return _given(text=sms.text, media=[{"url": url} for url in urls] or None)


def _file(file: str | File) -> dict[str, Any]:
    file = File(file_url=file) if isinstance(file, str) else file
    return _given(
        fileUrl=file.file_url, thumbnailUrl=file.thumbnail_url, forceRefresh=file.force_refresh or None
    )


def _suggestions(suggestions: Sequence[Suggestion], place: str) -> dict[str, Any]:
    listed = [
        _suggestion(suggestion, f"{place}.suggestions[{number}]")
        for number, suggestion in enumerate(suggestions)
    ]
    return {"suggestions": listed} if listed else {}


_ACTIONS = ("open_url", "dial", "view_location", "create_calendar_event", "share_location")


def _suggestion(suggestion: Suggestion, place: str) -> dict[str, Any]:
    kinds = [name for name in _ACTIONS if getattr(suggestion, name)]
    if len(kinds) > 1:
        raise InvalidInput.at(place, f"gives {' and '.join(kinds)}", "A suggestion has one action, or none")
    said = {"text": suggestion.text, "postbackData": suggestion.postback_data}
    if not kinds:
        return {"reply": said}
    (kind,) = kinds
    return {"action": {**said, **_action(suggestion, kind, f"{place}.{kind}")}}


def _action(suggestion: Suggestion, kind: str, place: str) -> dict[str, Any]:
    value = getattr(suggestion, kind)
    if kind == "open_url":
        return {"openUrlAction": _open_url(value, place)}
    if kind == "dial":
        return {"dialAction": {"phoneNumber": value}}
    if kind == "view_location":
        return {"viewLocationAction": _location(value, place)}
    if kind == "create_calendar_event":
        return {"createCalendarEventAction": _event(value, place)}
    return {"shareLocationAction": {}}


def _open_url(given: str | OpenUrl, place: str) -> dict[str, Any]:
    opened = OpenUrl(url=given) if isinstance(given, str) else given
    if (opened.application == "WEBVIEW") != (opened.webview_view_mode is not None):
        fix = "Give both application='WEBVIEW' and webview_view_mode, or neither"
        raise InvalidInput.at(f"{place}.webview_view_mode", "goes with a web view only, which needs it", fix)
    return _given(url=opened.url, application=opened.application, webviewViewMode=opened.webview_view_mode)


def _location(location: Location, place: str) -> dict[str, Any]:
    point = (location.latitude, location.longitude)
    if (point[0] is None) != (point[1] is None):
        raise InvalidInput.at(place, "has half a point", "Give latitude and longitude")
    if point[0] is None and not location.query:
        raise InvalidInput.at(place, "names no place", "Give latitude and longitude, or a query")
    known = None if point[0] is None else {"latitude": point[0], "longitude": point[1]}
    return _given(latLong=known, label=location.label, query=location.query)


def _event(event: CalendarEvent, place: str) -> dict[str, Any]:
    times = {
        wire: timestamp(f"{place}.{name}", valid(f"{place}.{name}", getattr(event, name), datetime))
        for name, wire in (("start_time", "startTime"), ("end_time", "endTime"))
    }
    return {**times, "title": event.title, "description": event.description}


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
