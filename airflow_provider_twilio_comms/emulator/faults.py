"""Fault injection: errors, lost replies and delays for chosen requests."""

from __future__ import annotations

import itertools
import re
from typing import Literal, TypeAlias

import msgspec

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.http import Problem, problem_reply
from airflow_provider_twilio_comms.emulator.options import compiled

__all__ = ["Fault", "Faults"]

Kind: TypeAlias = Literal[
    "rate_limited",
    "proxy_429",
    "unavailable",
    "error_before",
    "error_after",
    "bad_gateway",
    "drop_before",
    "drop_after",
    "cut",
    "slow",
    "lag",
]
_UNPROCESSED = {
    "rate_limited",
    "proxy_429",
    "unavailable",
    "error_before",
    "bad_gateway",
    "drop_before",
}
_PAGES = {"proxy_429": (429, "Too Many Requests"), "bad_gateway": (502, "Bad Gateway")}
_PROBLEMS = {
    "rate_limited": (429, 20429, "Too Many Requests"),
    "unavailable": (503, 20503, "Service unavailable"),
    "error_before": (500, 20500, "Internal server error"),
    "error_after": (500, 20500, "Internal server error"),
}


class Fault(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A fault and the requests that it hits.

        kind           processed?  what the client sees
        rate_limited   no          429 of Twilio (20429), with Retry-After if given
        proxy_429      no          429 of something else: HTML
        unavailable    no          503 of Twilio (20503), with Retry-After if given
        error_before   no          500 of Twilio (20500)
        error_after    yes         the same 500
        bad_gateway    no          502, HTML
        drop_before    no          the connection ends before the request's body is read
        drop_after     yes         the connection ends before the first byte of the reply
        cut            yes         the reply ends in its middle, below its content-length
        slow           yes         the whole reply, ``seconds`` late
        lag            yes         a list as it was ``seconds`` ago

    ``processed`` overrides the second column (a gateway's 502, for instance, may hide a success).

    ``method`` and ``path`` are regular expressions; the path is searched in ``/comms/v1/Messages`` and so on,
    without the query. The first ``skip`` matching requests succeed, then ``times`` fail (None: all).
    """

    kind: Kind
    method: str = ""
    path: str = ""
    times: int | None = 1
    skip: int = 0
    retry_after: float | str | None = None
    seconds: float = 0.0
    processed: bool | None = None
    id: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        for pattern in (self.method, self.path):
            compiled(pattern)

    @property
    def processes(self) -> bool:
        """True if the request is processed in spite of the fault."""
        return self.kind not in _UNPROCESSED if self.processed is None else self.processed

    def reply(self, product: str) -> Reply | None:
        """Build the reply that replaces the true one; None if the true one is sent."""
        if self.kind in _PAGES:
            status, title = _PAGES[self.kind]
            page = f"<html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>"
            return Reply(status, {"content-type": "text/html"}, page.encode())
        if self.kind not in _PROBLEMS:
            return None
        problem = Problem(*_PROBLEMS[self.kind])
        if self.retry_after is not None:
            problem.headers["retry-after"] = (
                f"{self.retry_after:g}" if isinstance(self.retry_after, float) else str(self.retry_after)
            )
        return problem_reply(product, problem)


class Faults:
    """The pending faults. If several match a request, the oldest applies."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, fault: Fault) -> Fault:
        fault.id = next(self._ids)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults.clear()

    def waiting(self) -> list[Fault]:
        return list(self._faults)

    def pick(self, method: str, product: str, path: str) -> Fault | None:
        """Pick the fault that applies to this request, and count its use."""
        for fault in self._faults:
            if not re.search(fault.method, method) or not re.search(fault.path, f"/{product}{path}"):
                continue
            if fault.skip:
                fault.skip -= 1
            elif fault.times is None or fault.hits < fault.times:
                fault.hits += 1
                return fault
        return None
