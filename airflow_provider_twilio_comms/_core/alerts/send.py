"""One alert, from what happened to who was told: held back where others told it, sent otherwise."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from airflow_provider_twilio_comms._core.alerts.alert import Alert
from airflow_provider_twilio_comms._core.alerts.deduplication import Deduplicator, Permit
from airflow_provider_twilio_comms._core.alerts.store import AlertStore, Gate, StoreFailed
from airflow_provider_twilio_comms._core.sending.counters import Counting, uncounted, verdict_of
from airflow_provider_twilio_comms._core.sending.message import OutgoingMessage
from airflow_provider_twilio_comms.api.flows import Flow, aside, made
from airflow_provider_twilio_comms.exceptions import (
    AuthenticationFailed,
    SendUncertain,
    TransportFailed,
    TwilioError,
)

__all__ = ["Order", "alerted"]

log: logging.Logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What is to be told, and what may keep it back.

    ``gates`` are passed in their order; ``recovering`` are those whose end is told, once, in place of
    ``alert``; ``without_store`` says what happens where nobody can tell whether another one was sent;
    ``write`` makes the message, and may block; ``counting`` hears what became of it.
    """

    alert: Alert
    gates: Sequence[Gate]
    write: Callable[[Alert], OutgoingMessage]
    quiet: bool = False
    recovering: Sequence[Gate] | None = None
    without_store: Literal["send", "hold"] = "send"
    counting: Counting = uncounted


def alerted(order: Order, board: AlertStore) -> Flow[int]:
    """Send the alert, or keep it back; returns how many messages Twilio took.

    Raises nothing that a message's failure causes: it is logged, with Twilio's code and what it means.
    """
    ticket = yield from (_recovered(order, board) if order.recovering is not None else _let(order, board))
    if ticket is None:
        return 0
    entrance = Deduplicator(board, order.gates)
    alert = replace(order.alert, held_back=ticket.held, recovered=order.recovering is not None)
    sent, uncertain = 0, 0
    try:
        message = yield from aside(partial(order.write, alert))
        sent, uncertain = yield from _posted(message, order.counting)
    except TwilioError as error:
        order.counting("failed", 1, verdict=verdict_of(error))
        log.error("The alert about %s was not sent: %s", alert.what, error)
    try:
        if sent or uncertain:
            yield from entrance.swept(ticket)
        else:
            yield from entrance.undone(ticket)  # so that the next one may try
    except StoreFailed as error:
        log.warning("Airflow's store did not take what became of the alert: %s", error)
    return sent


def _let(order: Order, board: AlertStore) -> Flow[Permit | None]:
    """The right to send; None where the alert is held back."""
    entrance = Deduplicator(board, order.gates)
    try:
        if order.quiet:
            log.info("Quiet hours: the alert about %s is held back", order.alert.what)
            order.counting("held_back", 1, reason="quiet_hours")
            for gate in [gate for gate in order.gates if gate.counted][:1]:
                yield from entrance.held(gate)
            return None
        ticket = yield from entrance.entered()
    except StoreFailed as error:
        if order.quiet:
            log.warning("It is not counted: Airflow's store of alerts is not there (%s)", error)
            return None
        log.error(
            "STORM CONTROL IS OFF: Airflow's store of alerts is not there (%s). As without_store=%r says, "
            "the alert about %s is %s",
            error,
            order.without_store,
            order.alert.what,
            "sent, and others may be sent beside it" if order.without_store == "send" else "not sent",
        )
        if order.without_store == "send":
            return Permit()
        order.counting("held_back", 1, reason="no_store")
        return None
    if ticket is None:
        order.counting("held_back", 1, reason="storm")
        log.info("The alert about %s is held back: one was sent within its window", order.alert.what)
    return ticket


def _recovered(order: Order, board: AlertStore) -> Flow[Permit | None]:
    """The right to tell an alert's end; None where there was no alert, or its end was told."""
    tickets: list[Permit] = []
    try:
        for gate in order.recovering or () if not order.quiet else ():
            closed = yield from Deduplicator(board, [gate]).closed()
            tickets += [closed] if closed else []
    except StoreFailed as error:
        log.error("Nobody can tell whether %s recovered: %s", order.alert.what, error)
    if not tickets:
        return None
    return Permit(
        held=sum(ticket.held for ticket in tickets),
        gates=[gate for ticket in tickets for gate in ticket.gates],
    )


def _posted(outgoing: OutgoingMessage, counting: Counting) -> Flow[tuple[int, int]]:
    """Send it to everyone; returns how many messages Twilio took, and of how many nobody knows."""
    sent = uncertain = 0
    for number in range(len(outgoing.to)):
        whom = f"recipient {number + 1} of {len(outgoing.to)}"
        try:
            message = yield from made(outgoing.call(number))
        except SendUncertain as error:
            uncertain += 1
            counting("uncertain", 1)
            log.error("Nobody knows whether %s was alerted, and it is not tried again: %s", whom, error)
        except TwilioError as error:
            log.error("THE ALERT WAS NOT SENT to %s. %s: %s", whom, type(error).__name__, error)
            hopeless = isinstance(error, (AuthenticationFailed, TransportFailed))
            counting("failed", len(outgoing.to) - number if hopeless else 1, verdict=verdict_of(error))
            if hopeless:
                break  # the others would not fare better
        else:
            sent += 1
            counting("sent", 1)
            log.info("Twilio accepted the alert to %s as %s", whom, message.sid)
    return sent, uncertain
