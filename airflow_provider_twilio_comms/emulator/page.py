"""Outbox page at ``/``, and the JSON that it loads: ``GET /_emulator/outbox?q=&status=&page=&size=``."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from airflow_provider_twilio_comms.emulator.control import json_response
from airflow_provider_twilio_comms.emulator.outbox import shown
from airflow_provider_twilio_comms.emulator.twilio import Twilio

__all__ = ["routes"]

_PAGE = Path(__file__).with_name("outbox.html")
# Messages can hold any text: nothing but the page's own code may run or load.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


def routes(twilio: Twilio) -> list[Route]:
    async def page(_: Request) -> Response:
        return HTMLResponse(_PAGE.read_bytes(), headers={"content-security-policy": _POLICY})

    async def outbox(request: Request) -> Response:
        asked = request.query_params
        number, size = asked.get("page", "0"), asked.get("size", "50")
        if not (number.isdecimal() and size.isdecimal() and 1 <= int(size) <= 500):
            return json_response({"error": "page counts from 0, size is 1 to 500"}, 400)
        with twilio.lock:
            words = asked.get("q", "").strip()
            return json_response(shown(twilio, words, asked.get("status", ""), int(number), int(size)))

    return [Route("/", page), Route("/_emulator/outbox", outbox)]
