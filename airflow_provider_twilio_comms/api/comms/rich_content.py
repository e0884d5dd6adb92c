"""Rich content without a template: RCS cards, carousels, files and suggestions.

Everything may be written as a mapping with these names, or with the classes here. The limits are those of
Twilio's OpenAPI document of the Communications API; every text may be Liquid.
https://www.twilio.com/docs/bulk-messaging/api/message-resource
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

__all__ = ["CalendarEvent", "Card", "File", "Location", "Media", "OpenUrl", "Rcs", "Sms", "Suggestion"]

Text = Annotated[str, Meta(min_length=1)]
Application = Literal["BROWSER", "WEBVIEW"]
ViewMode = Literal["FULL", "HALF", "TALL"]
Height = Literal["SHORT", "MEDIUM", "TALL"]
Width = Literal["SMALL", "MEDIUM"]
Orientation = Literal["HORIZONTAL", "VERTICAL"]
Alignment = Literal["LEFT", "RIGHT"]


class _Form(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A part of a content: an unknown name in it is an error."""


class File(_Form):
    """A file to show: its address, and that of a smaller picture of it."""

    file_url: Text
    thumbnail_url: Text | None = None
    force_refresh: bool = False


class Media(File):
    """The picture, video or file of a card; ``height`` is that of a vertical card's."""

    height: Height | None = None


class OpenUrl(_Form):
    """Open an address, in the browser or in a web view of a size."""

    url: Text
    application: Application | None = None
    webview_view_mode: ViewMode | None = None


class Location(_Form):
    """Show a place: by its coordinates, or by what to search for."""

    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    label: str | None = None
    query: Text | None = None


class CalendarEvent(_Form):
    """Create an event; the times are aware datetimes, or ISO 8601 with an offset."""

    start_time: Any
    end_time: Any
    title: Text
    description: Text


class Suggestion(_Form):
    """A button: a reply, unless it names one action. ``postback_data`` is what your webhook hears."""

    text: Text
    postback_data: Text
    open_url: Text | OpenUrl | None = None
    dial: Text | None = None
    view_location: Location | None = None
    create_calendar_event: CalendarEvent | None = None
    share_location: bool = False


class Card(_Form):
    """A card: a title, a description, media and up to 4 suggestions, at least one of these."""

    title: Text | None = None
    description: Text | None = None
    media: Text | Media | None = None
    suggestions: Annotated[list[Suggestion], Meta(max_length=4)] = []


class Rcs(_Form):
    """The body for RCS: exactly one of a text, a file (``content_info``) and ``cards``.

    One card stands alone (``card_orientation``, ``thumbnail_image_alignment``), 2 to 10 are a carousel
    (``card_width``). Up to 11 suggestions stand beside it.
    """

    text: Text | None = None
    content_info: Text | File | None = None
    cards: Annotated[list[Card], Meta(min_length=1, max_length=10)] | None = None
    card_width: Width | None = None
    card_orientation: Orientation | None = None
    thumbnail_image_alignment: Alignment | None = None
    suggestions: Annotated[list[Suggestion], Meta(max_length=11)] = []


class Sms(_Form):
    """The body for SMS and MMS: a text, media addresses, or both."""

    text: Text | None = None
    media: list[Text] | Text | None = None
