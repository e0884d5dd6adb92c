"""``/Messages/Operations``: https://www.twilio.com/docs/bulk-messaging/api/operation-resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.comms.operation import COUNTERS, Operation
from airflow_provider_twilio_comms.emulator.comms.outbox import Outbox
from airflow_provider_twilio_comms.emulator.comms.queries import VERSION, choice, date_range
from airflow_provider_twilio_comms.emulator.http import Problem, Request, json_reply
from airflow_provider_twilio_comms.emulator.paging import comms_page, page_size
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes", "view"]

routes: Routes = Routes("comms", VERSION)
_STATUSES = ("SCHEDULED", "PROCESSING", "COMPLETED", "CANCELED")


def view(twilio: State, operation: Operation) -> dict[str, Any]:
    now, options = twilio.clock.now(), twilio.options
    fresh = now < operation.created + options.counters_after
    return {
        "id": operation.id,
        "status": operation.status(now),
        "stats": dict.fromkeys(COUNTERS, 0) if fresh else operation.stats(now, options.unaddressable_rows),
        "createdAt": iso(operation.created),
        "updatedAt": iso(operation.updated(now)),
    }


@routes("GET", "/Messages/Operations")
def list_operations(twilio: State, request: Request, version: str) -> Reply:
    status = choice(request, "status", _STATUSES)
    since, until = date_range(request)
    token, now = request.values.get("pageToken"), twilio.clock.now()
    found = (
        view(twilio, operation)
        for operation in twilio.part(Outbox).newest_first(lag=twilio.options.list_lag)
        if since <= operation.created <= until and status in (None, operation.status(now))
    )
    size = page_size(request.values.get("pageSize"))
    items, pagination = comms_page("operations", found, size, token)
    return json_reply({"operations": items, "pagination": pagination})


@routes("GET", "/Messages/Operations/{operationId}")
def fetch(twilio: State, request: Request, version: str, operation_id: str) -> Reply:
    operation = twilio.part(Outbox).find(operation_id)
    if operation is None or twilio.clock.now() < operation.created + twilio.options.operation_after:
        raise Problem(404, 20404, "The operation was not found")
    return json_reply(view(twilio, operation))
