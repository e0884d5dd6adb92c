"""Schema of ``content.modules``: one body per channel, validated down to rich cards."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

__all__ = ["Media", "Module", "Text", "problem_with"]

Text = Annotated[str, Meta(min_length=1)]
DateTime = Annotated[datetime, Meta(tz=True)]  # RFC 3339 asks for an offset


class Strict(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """A struct in which an unknown key is an error, and null is not the same as a missing key."""


class Media(Strict):
    url: Text


class Sms(Strict):
    text: Text | UnsetType = UNSET
    media: Annotated[list[Media], Meta(min_length=1)] | UnsetType = UNSET


class Reply(Strict):
    text: Text
    postback_data: Text


class OpenUrl(Strict):
    url: Text
    application: Literal["BROWSER", "WEBVIEW"] | UnsetType = UNSET
    webview_view_mode: Literal["FULL", "HALF", "TALL"] | UnsetType = UNSET


class Dial(Strict):
    phone_number: Text


class LatLong(Strict):
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]


class ViewLocation(Strict):
    lat_long: LatLong | UnsetType = UNSET
    query: Text | UnsetType = UNSET
    label: str | UnsetType = UNSET


class CalendarEvent(Strict):
    start_time: DateTime
    end_time: DateTime
    title: Text
    description: Text


class ShareLocation(Strict):
    pass


class Action(Strict):
    text: Text
    postback_data: Text
    open_url_action: OpenUrl | UnsetType = UNSET
    dial_action: Dial | UnsetType = UNSET
    view_location_action: ViewLocation | UnsetType = UNSET
    create_calendar_event_action: CalendarEvent | UnsetType = UNSET
    share_location_action: ShareLocation | UnsetType = UNSET


class Suggestion(Strict):
    reply: Reply | UnsetType = UNSET
    action: Action | UnsetType = UNSET


class ContentInfo(Strict):
    file_url: Text
    thumbnail_url: Text | UnsetType = UNSET
    force_refresh: bool | UnsetType = UNSET


class RcsMedia(Strict):
    content_info: ContentInfo
    height: Literal["TALL", "MEDIUM", "SHORT"] | UnsetType = UNSET


class CardContent(Strict):
    title: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    media: RcsMedia | UnsetType = UNSET
    suggestions: Annotated[list[Suggestion], Meta(max_length=4)] | UnsetType = UNSET


class StandaloneCard(Strict):
    card_content: CardContent
    card_orientation: Literal["HORIZONTAL", "VERTICAL"] | UnsetType = UNSET
    thumbnail_image_alignment: Literal["LEFT", "RIGHT"] | UnsetType = UNSET


class CarouselCard(Strict):
    card_contents: Annotated[list[CardContent], Meta(min_length=2, max_length=10)]
    card_width: Literal["SMALL", "MEDIUM"] | UnsetType = UNSET


class RichCard(Strict):
    standalone_card: StandaloneCard | UnsetType = UNSET
    carousel_card: CarouselCard | UnsetType = UNSET


class Rcs(Strict):
    text: Text | UnsetType = UNSET
    content_info: ContentInfo | UnsetType = UNSET
    rich_card: RichCard | UnsetType = UNSET
    suggestions: Annotated[list[Suggestion], Meta(max_length=11)] | UnsetType = UNSET


class Module(Strict):
    sms: Sms | UnsetType = UNSET
    rcs: Rcs | UnsetType = UNSET


_ACTIONS = (
    "open_url_action",
    "dial_action",
    "view_location_action",
    "create_calendar_event_action",
    "share_location_action",
)


def given(struct: msgspec.Struct, *names: str) -> list[str]:
    """List the fields that the request contains."""
    return [name for name in names if getattr(struct, name) is not UNSET]


def problem_with(modules: list[Module]) -> str | None:
    """Check the rules that types cannot express: exactly one of, at least one of."""
    channels = [given(module, "sms", "rcs") for module in modules]
    if any(len(each) != 1 for each in channels):
        return "A module holds exactly one channel"
    if len({each[0] for each in channels}) != len(channels):
        return "Each channel may have one module"
    for module in modules:
        if isinstance(module.sms, Sms) and not given(module.sms, "text", "media"):
            return "sms needs text or media"
        if isinstance(module.rcs, Rcs):
            problem = _problem_with_rcs(module.rcs)
            if problem:
                return problem
    return None


def _problem_with_rcs(rcs: Rcs) -> str | None:
    if len(given(rcs, "text", "content_info", "rich_card")) != 1:
        return "rcs holds exactly one of text, contentInfo and richCard"
    listed = [rcs.suggestions]
    if isinstance(rcs.rich_card, RichCard):
        if len(given(rcs.rich_card, "standalone_card", "carousel_card")) != 1:
            return "richCard holds exactly one of standaloneCard and carouselCard"
        cards = _cards(rcs.rich_card)
        if not all(given(card, "title", "description", "media", "suggestions") for card in cards):
            return "cardContent needs title, description, media or suggestions"
        if isinstance(rcs.rich_card.standalone_card, StandaloneCard):
            problem = _problem_with_layout(rcs.rich_card.standalone_card)
            if problem:
                return problem
        listed += [card.suggestions for card in cards]
    found = (each for some in listed if isinstance(some, list) for each in some)
    return next(filter(None, map(_problem_with_suggestion, found)), None)


def _cards(card: RichCard) -> list[CardContent]:
    if isinstance(card.carousel_card, CarouselCard):
        return card.carousel_card.card_contents
    return [card.standalone_card.card_content] if isinstance(card.standalone_card, StandaloneCard) else []


def _problem_with_layout(card: StandaloneCard) -> str | None:
    horizontal = card.card_orientation == "HORIZONTAL"
    if card.thumbnail_image_alignment is not UNSET and not horizontal:
        return "thumbnailImageAlignment goes with cardOrientation HORIZONTAL only"
    content = card.card_content
    if horizontal and not (given(content, "media") and given(content, "title", "description", "suggestions")):
        return "A horizontal card needs media and one of title, description and suggestions"
    return None


def _problem_with_suggestion(suggestion: Suggestion) -> str | None:
    if len(given(suggestion, "reply", "action")) != 1:
        return "A suggestion is either a reply or an action"
    action = suggestion.action
    if not isinstance(action, Action):
        return None
    if len(given(action, *_ACTIONS)) != 1:
        return "An action holds exactly one kind of action"
    opened = action.open_url_action
    if isinstance(opened, OpenUrl) and (opened.application == "WEBVIEW") != (
        opened.webview_view_mode is not UNSET
    ):
        return "webviewViewMode is required with application WEBVIEW, and goes with nothing else"
    place = action.view_location_action
    if isinstance(place, ViewLocation) and not given(place, "lat_long", "query", "label"):
        return "viewLocationAction needs latLong, query or label"
    return None
