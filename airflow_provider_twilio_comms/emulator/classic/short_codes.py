"""Short codes: https://www.twilio.com/docs/messaging/api/short-code-resource"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_twilio_comms.api.classic.short_codes import Filter, Settings
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.classic.fields import asked, given
from airflow_provider_twilio_comms.emulator.classic.inventory import Inventory
from airflow_provider_twilio_comms.emulator.http import Request, json_reply
from airflow_provider_twilio_comms.emulator.paging import uri_page
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes"]

routes: Routes = Routes("api", "/2010-04-01/Accounts/{AccountSid}/SMS")


@routes("GET", "/ShortCodes.json")
def list_short_codes(twilio: State, request: Request, account_sid: str) -> Reply:
    only = asked(request, Filter)
    rows = [code.view() for code in twilio.part(Inventory).short_codes.values()]
    fitting = [row for row in rows if all(row[name] == wanted for name, wanted in only.items())]
    return uri_page(request, "short_codes", fitting)


@routes("GET", "/ShortCodes/{Sid}.json")
def fetch(twilio: State, request: Request, account_sid: str, sid: str) -> Reply:
    return json_reply(twilio.part(Inventory).short_code(sid).view())


@routes("POST", "/ShortCodes/{Sid}.json")
def update(twilio: State, request: Request, account_sid: str, sid: str) -> Reply:
    code = twilio.part(Inventory).short_code(sid)
    code.settings.update(given(request, Settings))
    code.updated = twilio.clock.now()
    return json_reply(code.view())
