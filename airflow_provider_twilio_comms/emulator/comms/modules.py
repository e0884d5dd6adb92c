"""Schema of ``content.modules``: one body per channel, validated down to rich cards."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

__all__ = ["Media", "Module", "Text", "problem_with"]

Text = Annotated[str, Meta(min_length=1)]


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
    start_time: str
    end_time: str
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


class RichCard(Strict):
    standalone_card: StandaloneCard


class Rcs(Strict):
    text: Text | UnsetType = UNSET
    media: RcsMedia | UnsetType = UNSET
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
    if len(given(rcs, "text", "media", "rich_card")) != 1:
        return "rcs holds exactly one of text, media and richCard"
    listed = [rcs.suggestions]
    if isinstance(rcs.rich_card, RichCard):
        if isinstance(rcs.suggestions, list):
            return "The suggestions of a rich card belong into its cardContent"
        listed.append(rcs.rich_card.standalone_card.card_content.suggestions)
    for suggestion in (each for some in listed if isinstance(some, list) for each in some):
        if len(given(suggestion, "reply", "action")) != 1:
            return "A suggestion is either a reply or an action"
        action = suggestion.action
        if isinstance(action, Action):
            if len(given(action, *_ACTIONS)) != 1:
                return "An action holds exactly one kind of action"
            place = action.view_location_action
            if isinstance(place, ViewLocation) and len(given(place, "lat_long", "query")) != 1:
                return "viewLocationAction holds either latLong or query"
    return None
