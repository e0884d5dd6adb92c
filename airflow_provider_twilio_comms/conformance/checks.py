"""Conformance checks: each is an assumption about Twilio, and a flow that looks whether it holds.

A check tells facts only: statuses, codes, names of headers and fields, counts and times. So a report can
hold no number, text, SID or id, whatever Twilio answers.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.api.wire import Call, Method, Product, Reply
from airflow_provider_twilio_comms.exceptions import ApiError

__all__ = ["Check", "Probe", "Seen", "answered", "asked", "named", "stated", "untried"]


class Seen(NamedTuple):
    """The finding of a check; ``agrees`` is None where it could not be tried, and the text says why."""

    agrees: bool | None
    text: str


@dataclass
class Probe:
    """The state that the checks of a run share: recipient, sender, and what the sends have left."""

    to: str | None = None
    sender: str | None = None
    tag: str = field(default_factory=lambda: secrets.token_hex(8))
    operation_id: str | None = None
    message_id: str | None = None
    sent_at: float = 0.0


@dataclass(frozen=True)
class Check:
    """An assumption, where it comes from, and how to look.

    ``sends`` is how many messages it texts. ``credential`` is ``wrong`` where Twilio is to refuse it.
    """

    name: str
    assumed: str
    source: str
    look: Callable[[Probe], Flow[Seen]]
    sends: int = 0
    credential: Literal["own", "wrong"] = "own"


def asked(method: Method, path: str, product: Product = "comms", **values: Any) -> Call[Reply]:
    """Describe a request whose reply is looked at as it is. It reads, or is one that Twilio has to refuse."""
    return Call(method, path, lambda reply: reply, product, effect="reads", **values)


def answered(call: Call[Reply]) -> Flow[Reply | ApiError]:
    """Make a request; returns the reply, or the error that Twilio answers with."""
    try:
        return (yield from made(call))
    except ApiError as error:
        return error


def stated(reply: Reply | ApiError) -> str:
    """The status, and the code of an error."""
    code = getattr(reply, "code", None)
    return f"{reply.status}" + (f", code {code}" if code else "")


def named(reply: Reply | ApiError) -> list[str]:
    """The names of the fields of a reply's body; none of an error's, or of what is no object."""
    body = reply.json() if isinstance(reply, Reply) and reply.body else None
    return sorted(body) if isinstance(body, dict) else []


def untried(why: str) -> Seen:
    """The outcome of a check that could not be made."""
    return Seen(None, why)
