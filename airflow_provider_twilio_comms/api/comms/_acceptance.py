"""Ids of an accepted request (202): depending on the version in the body, in a header or in an address.

https://www.twilio.com/docs/bulk-messaging/api/message-resource
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from airflow_provider_twilio_comms.api.wire import Reply

_OPERATION = ("operationid", "operation-id", "x-operationid", "x-operation-id")


def operation_id_of(reply: Reply) -> str | None:
    """Read the operation's id; None if the reply does not name it."""
    body, headers = _object(reply.body), reply.headers
    return _first(
        body.get("operationId"),
        body.get("operation_id"),
        *(headers.get(name) for name in _OPERATION),
        *(
            last_segment(address, "comms_operation_")
            for address in (
                body.get("operationLocation"),
                headers.get("operation-location"),
                headers.get("location"),
            )
        ),
    )


def resource_id_of(reply: Reply) -> str | None:
    """Read the id of the sender or sender pool that was changed; None if the reply does not name it."""
    body, headers = _object(reply.body), reply.headers
    addresses = (body.get("resourceLocation"), headers.get("resource-location"), headers.get("location"))
    return _first(
        body.get("resourceId"),
        *(last_segment(address, "comms_sender") for address in addresses),
    )


def last_segment(address: Any, kind: str) -> str | None:
    """Read the id at the end of an address, if it is of a kind; the host is never used."""
    end = address.split("?")[0].rstrip("/").rpartition("/")[2] if isinstance(address, str) else ""
    return end if end.startswith(kind) else None


def _first(*values: Any) -> str | None:
    found: Sequence[str] = [value for value in values if isinstance(value, str) and value]
    return found[0] if found else None


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}
