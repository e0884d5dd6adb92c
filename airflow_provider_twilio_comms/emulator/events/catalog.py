"""Types of events that the emulator knows, and their schemas: https://www.twilio.com/docs/events/event-types"""

from __future__ import annotations

from typing import Any

from airflow_provider_twilio_comms.api.events.types import Filter
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.classic.fields import asked
from airflow_provider_twilio_comms.emulator.classic.inventory import missing
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.http import Request, address, json_reply
from airflow_provider_twilio_comms.emulator.paging import meta_page
from airflow_provider_twilio_comms.emulator.routes import Routes
from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["COMMS", "TEST", "TYPES", "routes"]

routes: Routes = Routes("events", "/v1")

COMMS = "com.twilio.comms-api"
TEST = "com.twilio.eventstreams.test-event"
# The latest version of each type's schema.
TYPES: dict[str, tuple[str, int]] = {
    **{
        f"{COMMS}.operation.{name}": (f"CommsApi.Operation{name.title()}", 2)
        for name in ("processing", "completed", "scheduled")
    },
    f"{COMMS}.message.queued": ("CommsApi.MessageQueued", 3),
    **{
        f"{COMMS}.message.{name}": (f"CommsApi.Message{name.title()}", 4)
        for name in ("sent", "failed", "delivered", "undelivered", "read")
    },
    f"{COMMS}.message.inbound-received": ("CommsApi.MessageInbound", 2),
}
_SINCE = 1_775_001_600.0  # the same for all


@routes("GET", "/Types")
def list_types(twilio: State, request: Request) -> Reply:
    wanted = asked(request, Filter).get("schema_id")
    rows = [_view(name) for name, (schema, _) in TYPES.items() if wanted in (None, schema)]
    return meta_page(request, "types", rows)


@routes("GET", "/Types/{Type}")
def fetch(twilio: State, request: Request, type: str) -> Reply:
    if type not in TYPES:
        raise missing()
    return json_reply(_view(type))


def _view(name: str) -> dict[str, Any]:
    schema, version = TYPES[name]
    return {
        "type": name,
        "schema_id": schema,
        "public": True,
        "date_created": iso(_SINCE),
        "date_updated": iso(_SINCE),
        "description": f"{schema}, version {version}",
        "status": "Active",
        "documentation_url": "https://www.twilio.com/docs/events/event-types",
        "url": address("events", f"/v1/Types/{name}"),
        "links": {"schema": address("events", f"/v1/Schemas/{schema}/Versions")},
    }
