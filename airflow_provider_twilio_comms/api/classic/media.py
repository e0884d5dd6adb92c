"""The media of a message: https://www.twilio.com/docs/messaging/api/media-resource"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import Day, MediaSid, MessageSid, Named, Paged, pairs, valid
from airflow_provider_twilio_comms.api._resources import Elsewhere, Resource, elsewhere, nothing, one, paged
from airflow_provider_twilio_comms.api.wire import Call, Page

__all__ = ["Filter", "Media", "delete", "download", "fetch", "list"]

MEDIA_LIST = "/2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Media.json"
MEDIA = "/2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Media/{Sid}.json"
FILE = "/2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Media/{Sid}"


class Media(Resource, frozen=True):
    """The description of a file that belongs to a message, without its content."""

    sid: str
    parent_sid: str | None = None
    account_sid: str | None = None
    content_type: str | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None


class Filter(Paged, total=False):
    """Filters of the list of media. A day is a UTC day, ``created_on`` always; both bounds are inclusive."""

    created_on: Annotated[date | datetime, Named("DateCreated"), Day()]
    created_on_or_before: Annotated[date | datetime, Named("DateCreated<")]
    created_on_or_after: Annotated[date | datetime, Named("DateCreated>")]


def list(message_sid: MessageSid, **only: Unpack[Filter]) -> Call[Page[Media]]:
    """List a message's media: ``GET /2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Media.json``."""
    values = {"MessageSid": valid("message_sid", message_sid, MessageSid)}
    call = Call("GET", MEDIA_LIST, nothing, "api", values, pairs(Filter, only))
    return paged(call, "media_list", Media)


def fetch(message_sid: MessageSid, sid: MediaSid) -> Call[Media]:
    """Describe a file: ``GET /2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Media/{Sid}.json``."""
    return Call("GET", MEDIA, one(Media), "api", _at(message_sid, sid))


def delete(message_sid: MessageSid, sid: MediaSid) -> Call[None]:
    """Delete a file: ``DELETE /2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Media/{Sid}.json``."""
    return Call("DELETE", MEDIA, nothing, "api", _at(message_sid, sid))


def download(message_sid: MessageSid, sid: MediaSid) -> Call[Elsewhere]:
    """Get a file's address: ``GET /2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Media/{Sid}``.

    Twilio answers with a redirect to its storage, which must not see our credentials.
    """
    return Call("GET", FILE, elsewhere, "api", _at(message_sid, sid), redirects=True)


def _at(message_sid: str, sid: str) -> dict[str, str]:
    return {
        "MessageSid": valid("message_sid", message_sid, MessageSid),
        "Sid": valid("sid", sid, MediaSid),
    }
