"""Ids, headers and replies that the calls of the Memory API have in common.

https://www.twilio.com/docs/api/memory/v1
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api._operations import last_part
from airflow_provider_twilio_comms.api.wire import Reply, decoded, error_of
from airflow_provider_twilio_comms.exceptions import ProfileMerged

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

STORES = "/v1/ControlPlane/Stores"
STORE = "/v1/ControlPlane/Stores/{storeId}"
PROFILES = "/v1/Stores/{storeId}/Profiles"
PROFILE = "/v1/Stores/{storeId}/Profiles/{profileId}"

StoreId = Annotated[
    str, Meta(pattern=r"^mem_(store|service)_\w+\Z", description="the id of a memory store, mem_store_...")
]
ProfileId = Annotated[
    str, Meta(pattern=r"^mem_profile_\w+\Z", description="the id of a profile, mem_profile_...")
]
ImportId = Annotated[
    str, Meta(pattern=r"^mem_import_\w+\Z", description="the id of an import, mem_import_...")
]
Name = Annotated[str, Meta(min_length=1, max_length=64, description="1 to 64 characters")]
GroupName = Annotated[
    str,
    Meta(pattern=r"^[a-zA-Z0-9_.-]{1,64}\Z", description="1 to 64 letters, digits and . _ -"),
]
PageSize = Annotated[int, Meta(ge=1, le=100, description="1 to 100")]


class Accepted(msgspec.Struct, frozen=True, rename="camel"):
    """A change that Twilio accepted and makes later; follow it with ``operations.fetch(operation_id)``."""

    message: str | None = None
    status_url: str | None = None
    operation_id: str | None = None


def accepted(reply: Reply) -> Accepted:
    """Read a 202: the operation's id is in ``Operation-Id``, else at the end of an address."""
    body = decoded(reply, Accepted) if reply.body.strip() else Accepted()
    operation_id = reply.headers.get("operation-id") or last_part(
        reply.headers.get("location") or body.status_url
    )
    return msgspec.structs.replace(body, operation_id=operation_id)


def with_etag(shape: type[S]) -> Callable[[Reply], S]:
    """Make a reader of a resource that keeps the reply's ``ETag`` in its field ``etag``."""
    return lambda reply: msgspec.structs.replace(decoded(reply, shape), etag=reply.headers.get("etag"))


def unless_merged(read: Callable[[Reply], T]) -> Callable[[Reply], T]:
    """Make a reader for a call about one profile; 301 and 308 raise :class:`ProfileMerged`.

    The address of the redirect is never followed: only the id is taken, for a call to our own host.
    """

    def reader(reply: Reply) -> T:
        if reply.status not in (301, 308):
            if reply.status >= 300:
                raise error_of(reply, "memory")
            return read(reply)
        canonical = reply.headers.get("canonical-profile-id") or _profile_in(reply.headers.get("location"))
        if not canonical:
            raise error_of(reply, "memory")
        raise ProfileMerged(
            f"The profile was merged into {canonical}: use that id", profile_id=canonical, status=reply.status
        )

    return reader


def _profile_in(address: str | None) -> str | None:
    parts = (address or "").split("?")[0].split("/")
    return next((part for part in parts if part.startswith("mem_profile_")), None)


def if_match(etag: str | None) -> tuple[tuple[str, str], ...]:
    """The header that makes a change conditional: 412 if the resource has another ``ETag`` by now."""
    return (("If-Match", etag),) if etag else ()


def given(**values: Any) -> dict[str, Any]:
    """The fields of a body that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def at(store_id: str, **values: str) -> Mapping[str, str]:
    """The values of a path below a store."""
    return {"storeId": valid("store_id", store_id, StoreId), **values}


def at_profile(store_id: str, profile_id: str, **values: str) -> Mapping[str, str]:
    """The values of a path below a profile."""
    return at(store_id, profileId=valid("profile_id", profile_id, ProfileId), **values)
