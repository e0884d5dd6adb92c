"""Media and reports of deactivated numbers, which Twilio stores behind signed addresses.

Twilio answers with a redirect. Its storage takes the signature in the address, and refuses requests that
carry credentials as well, as S3 does, so that a client that forwards them fails.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Annotated, TypedDict

from airflow_provider_twilio_comms.api._forms import Named
from airflow_provider_twilio_comms.api.classic.media import Filter
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.classic.fields import asked, required
from airflow_provider_twilio_comms.emulator.classic.inventory import missing
from airflow_provider_twilio_comms.emulator.classic.messages import within
from airflow_provider_twilio_comms.emulator.classic.outbox import Media, Messages
from airflow_provider_twilio_comms.emulator.http import Problem, Request, json_reply
from airflow_provider_twilio_comms.emulator.paging import uri_page
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["deactivations", "media", "storage"]

media: Routes = Routes("api", "/2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}")
deactivations: Routes = Routes("messaging", "/v1")
storage: Routes = Routes("storage")

VALID = 120  # seconds that an address is good for
_PIXEL = bytes.fromhex(
    "47494638396101000100800000ff00ff00000021f90401000000002c00000000010001000002024401003b"
)


class _Day(TypedDict, total=False):
    day: Annotated[date, Named("Date")]


@media("GET", "/Media.json")
def list_media(twilio: State, request: Request, account_sid: str, message_sid: str) -> Reply:
    files = twilio.part(Messages).get(account_sid, message_sid).media.values()
    created = within(asked(request, Filter), "created_on")
    return uri_page(
        request, "media_list", [file.view() for file in files if created is None or created(file.created)]
    )


@media("GET", "/Media/{Sid}.json")
def fetch_media(twilio: State, request: Request, account_sid: str, message_sid: str, sid: str) -> Reply:
    return json_reply(_media(twilio, account_sid, message_sid, sid).view())


@media("DELETE", "/Media/{Sid}.json")
def delete_media(twilio: State, request: Request, account_sid: str, message_sid: str, sid: str) -> Reply:
    _media(twilio, account_sid, message_sid, sid)
    del twilio.part(Messages).by_sid[message_sid].media[sid]
    return Reply(204)


@media("GET", "/Media/{Sid}")
def download_media(twilio: State, request: Request, account_sid: str, message_sid: str, sid: str) -> Reply:
    """Redirect to the file itself: the address without ``.json``."""
    _media(twilio, account_sid, message_sid, sid)
    return Reply(307, {"location": _signed(twilio, request, f"/media/{account_sid}/{message_sid}/{sid}")})


@deactivations("GET", "/Deactivations")
def fetch_deactivations(twilio: State, request: Request) -> Reply:
    """Redirect to a day's report, which exists once the day is over."""
    day = required(asked(request, _Day), "day", "Date")
    if day >= _today(twilio):
        raise Problem(400, 30114, "Specified date is not available yet")
    url = _signed(twilio, request, f"/deactivations/{day.isoformat()}.txt")
    return json_reply({"redirect_to": url}, 307, {"location": url})


@storage("GET", "/media/{AccountSid}/{MessageSid}/{Sid}", access="anyone")
def read_media(twilio: State, request: Request, account_sid: str, message_sid: str, sid: str) -> Reply:
    """Serve a small picture, or a line of text for any other type."""
    _admit(twilio, request)
    file = _media(twilio, account_sid, message_sid, sid)
    content = _PIXEL if file.content_type.startswith("image/") else f"{file.url}\n".encode()
    return Reply(200, {"content-type": file.content_type}, content)


@storage("GET", "/deactivations/{Day}.txt", access="anyone")
def read_deactivations(twilio: State, request: Request, day: str) -> Reply:
    """Serve a hundred numbers, one a line and others every day; the unknown +12025559005 is always one."""
    _admit(twilio, request)
    start = date.fromisoformat(day).toordinal() * 37
    numbers = ["+12025559005", *(f"+1212555{(start + step * 7) % 9000:04d}" for step in range(99))]
    return Reply(200, {"content-type": "text/plain"}, "".join(f"{number}\n" for number in numbers).encode())


def _media(twilio: State, account_sid: str, message_sid: str, sid: str) -> Media:
    files = twilio.part(Messages).get(account_sid, message_sid).media
    if sid not in files:
        raise missing()
    return files[sid]


def _today(twilio: State) -> date:
    return datetime.fromtimestamp(twilio.clock.now(), timezone.utc).date()


def _signed(twilio: State, request: Request, path: str) -> str:
    """Sign an address on this server, under the name by which it was called."""
    ends = int(twilio.clock.now()) + VALID
    host = request.headers.get("host", "storage.twilio.invalid")
    return f"http://{host}/storage{path}?Expires={ends}&Signature={_signature(path, ends)}"


def _signature(path: str, ends: int) -> str:
    return hashlib.sha256(f"emulator {path} {ends}".encode()).hexdigest()


def _admit(twilio: State, request: Request) -> None:
    if "authorization" in request.headers:
        raise Problem(400, 400, "Only one auth mechanism allowed")
    ends = request.values.get("Expires", "0")
    if not ends.isdecimal() or request.values.get("Signature") != _signature(request.path, int(ends)):
        raise Problem(403, 403, "The signature does not match")
    if int(ends) < twilio.clock.now():
        raise Problem(403, 403, "Request has expired")
