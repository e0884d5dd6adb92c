"""The core: a request in, a reply out, and all state inside. No I/O; time is the clock's alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator import accounts, classic
from airflow_provider_twilio_comms.emulator.comms import messages, operations, sender_pools, senders, sending
from airflow_provider_twilio_comms.emulator.credentials import admit
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.http import Problem, Request, problem_reply
from airflow_provider_twilio_comms.emulator.routes import Routes, Table
from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["ROUTES", "Exchange", "Twilio"]

# Another resource is another module: write its Routes, add it here.
ROUTES: tuple[Routes, ...] = (
    accounts.accounts,
    accounts.oauth,
    sending.routes,
    messages.routes,
    operations.routes,
    senders.routes,
    sender_pools.routes,
    *classic.ROUTES,
)
_TABLE = Table(ROUTES)


class Exchange(NamedTuple):
    """A reply, and how the server is to deliver it: after ``delay`` seconds, and whole, not at all or cut."""

    reply: Reply
    delay: float = 0.0
    ending: Literal["whole", "drop", "cut"] = "whole"


class Twilio(State):
    """``handle`` a request."""

    def handle(self, request: Request) -> Reply:
        """The reply, as a client would get it if nothing were wrong with the line."""
        fault = self.faults.pick(request.method, request.product, request.path)
        return self.exchange(request, fault).reply

    def exchange(self, request: Request, fault: Fault | None = None) -> Exchange:
        """The reply and what happens to it, under a fault that :class:`Faults` picked for this request."""
        with self.lock:
            replaced = fault.reply(request.product) if fault else None
            if fault and not fault.processes:
                reply, route = replaced or Reply(503), f"/{request.product}{request.path}"
            else:
                reply, route = self._process(request, fault.seconds if fault and fault.kind == "lag" else 0.0)
            reply = replaced or reply
            request_id = f"RQ{self.random.getrandbits(128):032x}"
            self.journal.note(
                f"{request.method} {route}",
                at=self.clock.now(),
                method=request.method,
                path=f"/{request.product}{request.path}",
                query=list(request.query),
                status=reply.status,
                fault=fault.kind if fault else None,
                request_id=request_id,
            )
        reply = replace(reply, headers={**reply.headers, "twilio-request-id": request_id})
        if fault is None:
            return Exchange(reply)
        if fault.kind in ("drop_before", "drop_after"):
            return Exchange(reply, fault.seconds, "drop")
        if fault.kind == "cut":
            return Exchange(reply, fault.seconds, "cut")
        return Exchange(reply, fault.seconds if fault.kind == "slow" else 0.0)

    def _process(self, request: Request, lag: float) -> tuple[Reply, str]:
        """The true reply, and the route's template."""
        template = f"/{request.product}{request.path}"
        options = self.options
        try:
            match = _TABLE.find(request.method, request.product, request.path)
            template, (route, values) = match.label, match
            caller = admit(self, request, route, values.get("account_sid"))
            if lag:
                self.options = options.changed({"list_lag": max(lag, options.list_lag)})
            return route.handler(self, replace(request, caller=caller), **values), template
        except Problem as problem:
            return problem_reply(request.product, problem), template
        finally:
            self.options = options
