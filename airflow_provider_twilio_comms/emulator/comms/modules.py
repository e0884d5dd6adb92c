"""Schema of ``content.modules``: one body per channel, validated down to rich cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from airflow_provider_twilio_comms.emulator.clock import moment_of

__all__ = ["Closed", "Media", "Module", "Strict", "Text", "given", "problem_with"]

Text = Annotated[str, Meta(min_length=1)]


class Strict(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """A struct in which an unknown key is an error, and null is not the same as a missing key.

    Twilio's own schemas are open: in the mode ``like-twilio``, ``reading.py`` takes unknown keys out.
    """

    @classmethod
    def is_closed(cls, given: Mapping[str, Any]) -> bool:
        """Tell if Twilio's schema of what was given is closed too."""
        return False


class Closed(Strict):
    """A struct whose schema is closed in Twilio's document too."""

    @classmethod
    def is_closed(cls, given: Mapping[str, Any]) -> bool:
        return True


class Media(Strict):
    url: Text


class Sms(Closed):
    text: Text | UnsetType = UNSET
    media: list[Media] | UnsetType = UNSET


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


class ViewLocation(Closed):
    lat_long: LatLong | UnsetType = UNSET
    query: Text | UnsetType = UNSET
    label: str | UnsetType = UNSET


class CalendarEvent(Strict):
    start_time: str
    end_time: str
    title: Text
    description: Text


class ShareLocation(Closed):
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


class CardContent(Closed):
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


_PARTS = ("title", "description", "media", "suggestions")
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


def problem_with(modules: list[Module], strict: bool) -> str | None:
    """Check the rules that types cannot express: exactly one of, at least one of.

    ``strict`` adds advice of the document's texts, and rules that its schema leaves open.
    """
    channels = [given(module, "sms", "rcs") for module in modules]
    if any(len(each) != 1 for each in channels):
        return "A module holds exactly one channel"
    if strict and len({each[0] for each in channels}) != len(channels):
        return "Each channel may have one module"
    for module in modules:
        if isinstance(module.sms, Sms):
            if not given(module.sms, "text", "media") or (strict and module.sms.media == []):
                return "sms needs text or media"
        elif isinstance(module.rcs, Rcs):
            problem = _problem_with_rcs(module.rcs, strict)
            if problem:
                return problem
    return None


def _problem_with_rcs(rcs: Rcs, strict: bool) -> str | None:
    if len(given(rcs, "text", "content_info", "rich_card")) != 1:
        return "rcs holds exactly one of text, contentInfo and richCard"
    cards: list[CardContent] = []
    if isinstance(rcs.rich_card, RichCard):
        if len(given(rcs.rich_card, "standalone_card", "carousel_card")) != 1:
            return "richCard holds either standaloneCard or carouselCard"
        if isinstance(rcs.rich_card.carousel_card, CarouselCard):
            cards = rcs.rich_card.carousel_card.card_contents
        elif isinstance(rcs.rich_card.standalone_card, StandaloneCard):
            cards = [rcs.rich_card.standalone_card.card_content]
            problem = _problem_with_card(rcs.rich_card.standalone_card)
            if problem:
                return problem
    if not all(given(card, *_PARTS) for card in cards):
        return "cardContent needs one of title, description, media, suggestions"
    listed = [rcs.suggestions, *(card.suggestions for card in cards)]
    found = (each for some in listed if isinstance(some, list) for each in some)
    return next((problem for each in found if (problem := _problem_with_suggestion(each, strict))), None)


def _problem_with_card(card: StandaloneCard) -> str | None:
    if card.card_orientation == "HORIZONTAL":
        parts = given(card.card_content, *_PARTS)
        if "media" not in parts or len(parts) < 2:
            return "A horizontal card needs media and one of title, description, suggestions"
    return None


def _problem_with_suggestion(suggestion: Suggestion, strict: bool) -> str | None:
    if len(given(suggestion, "reply", "action")) != 1:
        return "A suggestion is either a reply or an action"
    action = suggestion.action
    if not isinstance(action, Action):
        return None
    if len(given(action, *_ACTIONS)) != 1:
        return "An action holds exactly one kind of action"
    page, place, event = (
        action.open_url_action,
        action.view_location_action,
        action.create_calendar_event_action,
    )
    if isinstance(page, OpenUrl):
        webview = page.application == "WEBVIEW"
        if webview != (page.webview_view_mode is not UNSET):
            return "webviewViewMode goes with the application WEBVIEW, which needs it"
    if isinstance(place, ViewLocation):
        parts = given(place, "lat_long", "query", "label")
        if not parts or (strict and {"lat_long", "query"} <= set(parts)):
            return "viewLocationAction holds latLong or query, or a label"
    times = (event.start_time, event.end_time) if isinstance(event, CalendarEvent) else ()
    if any(moment_of(text, zoned=True) is None for text in times):
        return "A calendar event's times are RFC 3339 times"
    return None
