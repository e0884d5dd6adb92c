"""Files that Twilio keeps elsewhere: media of messages, and the reports of deactivated numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, NamedTuple

from airflow_provider_twilio_comms.api._resources import Elsewhere
from airflow_provider_twilio_comms.api.classic import media
from airflow_provider_twilio_comms.api.flows import Flow, every_item, made, removed, saved
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import ApiError, ServerFailed

NOT_YET = 30114  # https://www.twilio.com/docs/api/errors/30114


class File(NamedTuple):
    """A file of a message, and what it is."""

    message_sid: str
    sid: str
    content_type: str | None


def fetched(place: Call[Elsewhere], into: IO[bytes]) -> Flow[int]:
    """Read a file from where Twilio says it lies; returns its size in bytes.

    The address is good for minutes, so where the storage refuses it, a new one is asked for, once.
    """
    found = yield from made(place)
    try:
        return (yield from saved(found.url, into))
    except ServerFailed:
        raise
    except ApiError:
        found = yield from made(place)
        return (yield from saved(found.url, into))


def there(place: Call[Elsewhere]) -> Flow[bool]:
    """Tell if a report is there yet."""
    try:
        yield from made(place)
    except ApiError as error:
        if error.code == NOT_YET:
            return False
        raise
    return True


def files_of(message_sids: Iterable[str]) -> Flow[list[File]]:
    """Every file of these messages."""
    found: list[File] = []
    for message_sid in message_sids:
        listed = yield from every_item(media.list(message_sid, page_size=1000))
        found += [File(message_sid, each.sid, each.content_type) for each in listed]
    return found


def deleted(files: Iterable[File]) -> Flow[int]:
    """Delete files; returns how many were still there."""
    count = 0
    for file in files:
        count += yield from removed(media.delete(file.message_sid, file.sid))
    return count
