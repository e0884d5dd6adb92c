"""Core of the emulator: takes a request, returns a reply. It does no I/O, and reads only its own clock."""

from __future__ import annotations

import time
from typing import Literal, NamedTuple

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator import accounts, classic
from airflow_provider_twilio_comms.emulator.audiences import cohorts
from airflow_provider_twilio_comms.emulator.comms import messages, operations, sender_pools, senders, sending
from airflow_provider_twilio_comms.emulator.credentials import admit
from airflow_provider_twilio_comms.emulator.events import catalog, sinks, subscriptions
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.http import Problem, Request, problem_reply
from airflow_provider_twilio_comms.emulator.memory import control_plane, imports, profiles
from airflow_provider_twilio_comms.emulator.options import Options
from airflow_provider_twilio_comms.emulator.routes import Routes, Table
from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["ROUTES", "Exchange", "Twilio"]

# To add a resource, write a module with its Routes and add it here.
ROUTES: tuple[Routes, ...] = (
    accounts.accounts,
    accounts.oauth,
    sending.routes,
    messages.routes,
    operations.routes,
    senders.routes,
    sender_pools.routes,
    catalog.routes,
    sinks.routes,
    subscriptions.routes,
    *classic.ROUTES,
    control_plane.routes,
    imports.routes,
    imports.storage,
    profiles.routes,
    cohorts.routes,
)
_TABLE = Table(ROUTES)


class Exchange(NamedTuple):
    """A reply with its delivery: after ``delay`` seconds, and whole, not at all or cut."""

    reply: Reply
    delay: float = 0.0
    ending: Literal["whole", "drop", "cut"] = "whole"


class Twilio(State):
    """The emulated Twilio: its state, and ``handle`` for requests."""

    def handle(self, request: Request) -> Reply:
        """Answer a request, without faults of the connection."""
        fault = self.faults.pick(request.method, request.product, request.path)
        return self.exchange(request, fault).reply

    def exchange(self, request: Request, fault: Fault | None = None, concurrent: int = 1) -> Exchange:
        """Answer a request under the fault that :class:`Faults` picks for it.

        ``concurrent`` is the number of requests in flight, which Twilio's header says.
        """
        began = time.perf_counter()
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
        headers = {
            **reply.headers,
            "twilio-request-id": request_id,
            "twilio-concurrent-requests": str(concurrent),
            "twilio-request-duration": f"{time.perf_counter() - began:.3f}",
        }
        reply = Reply(reply.status, headers, reply.body)
        if fault is None:
            return Exchange(reply)
        if fault.kind in ("drop_before", "drop_after"):
            return Exchange(reply, fault.seconds, "drop")
        if fault.kind == "cut":
            return Exchange(reply, fault.seconds, "cut")
        return Exchange(reply, fault.seconds if fault.kind == "slow" else 0.0)

    def _process(self, request: Request, lag: float) -> tuple[Reply, str]:
        """Process a request; returns the true reply and the route's template."""
        template = f"/{request.product}{request.path}"
        options = self.options
        try:
            match = _TABLE.find(request.method, request.product, request.path)
            template, (route, values) = match.label, match
            caller = admit(self, request, route, values.get("account_sid"))
            if lag:
                self.options = options.changed({"list_lag": max(lag, options.list_lag)})
            return route.handler(self, request.by(caller, options.mode == "strict"), **values), template
        except Problem as problem:
            return problem_reply(request.product, problem, request.path), template
        finally:
            self.options: Options = options
