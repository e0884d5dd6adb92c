"""Send one alert, or hold it back where others have told it or are about to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from airflow_provider_twilio_comms._core.alerts import deduplication
from airflow_provider_twilio_comms._core.alerts.alert import Alert
from airflow_provider_twilio_comms._core.alerts.store import AlertStore, Gate, Permit, StoreFailed
from airflow_provider_twilio_comms._core.sending.counters import Counting, uncounted, verdict_of
from airflow_provider_twilio_comms._core.sending.message import OutgoingMessage
from airflow_provider_twilio_comms.api.flows import Flow, aside, made
from airflow_provider_twilio_comms.exceptions import (
    AuthenticationFailed,
    SendUncertain,
    TransportFailed,
    TwilioError,
)

log: logging.Logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """An alert, how its message is written, and what may hold it back.

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


def send_alert(order: Order, store: AlertStore) -> Flow[int]:
    """Send the alert, or hold it back; returns how many messages Twilio took.

    Raises nothing that Twilio's refusal causes: it is logged, with Twilio's code and what it means. What else
    goes wrong is raised; in both cases the next alert may be sent.
    """
    permits = yield from (_recover(order, store) if order.recovering is not None else _enter(order, store))
    if not permits:
        return 0
    alert = replace(
        order.alert,
        held_back=sum(permit.held for permit in permits),
        recovered=order.recovering is not None,
    )
    message = yield from aside(lambda: _write(order, alert))
    if isinstance(message, Exception):
        yield from _close(store, permits, sent=False)
        if not isinstance(message, TwilioError):
            raise message
        order.counting("failed", 1, verdict=verdict_of(message))
        log.error("The alert about %s was not sent: %s", alert.what, message)
        return 0
    sent, uncertain = yield from _post(message, order, store, permits)
    yield from _close(store, permits, sent=bool(sent or uncertain))
    return sent


def _write(order: Order, alert: Alert) -> OutgoingMessage | Exception:
    """Make the message. An error is returned: raised, it would end the flow and leave the permit out."""
    try:
        return order.write(alert)
    except Exception as error:
        return error


def _enter(order: Order, store: AlertStore) -> Flow[list[Permit]]:
    """Get the right to send; empty where the alert is held back."""
    if order.quiet:
        log.info("Quiet hours: the alert about %s is held back", order.alert.what)
        order.counting("held_back", 1, reason="quiet_hours")
        for gate in [gate for gate in order.gates if gate.counted][:1]:
            yield from store.hold(gate, 1)
        return []
    try:
        permit = yield from deduplication.enter(store, order.gates)
    except StoreFailed as error:
        log.error(
            "STORM CONTROL IS OFF: %s cannot be asked whether others were alerted (%s). "
            "As without_store=%r says, the alert about %s is %s",
            store.name,
            error,
            order.without_store,
            order.alert.what,
            "sent, and others may be sent beside it" if order.without_store == "send" else "not sent",
        )
        if order.without_store == "send":
            return [Permit()]
        order.counting("held_back", 1, reason="no_store")
        return []
    if permit is None:
        order.counting("held_back", 1, reason="storm")
        log.info("The alert about %s is held back: one was sent, or is being sent", order.alert.what)
        return []
    return [permit]


def _recover(order: Order, store: AlertStore) -> Flow[list[Permit]]:
    """Get the right to tell an alert's end; empty where there was no alert, or its end was told."""
    permits: list[Permit] = []
    try:
        for gate in order.recovering or () if not order.quiet else ():
            permit = yield from store.enter_recovery(gate)
            permits += [permit] if permit else []
    except StoreFailed as error:
        log.error("%s cannot be asked whether %s recovered: %s", store.name, order.alert.what, error)
    return permits


def _post(
    outgoing: OutgoingMessage, order: Order, store: AlertStore, permits: Sequence[Permit]
) -> Flow[tuple[int, int]]:
    """Send it to everyone; returns how many messages Twilio took, and of how many nobody knows."""
    sent = uncertain = 0
    for number in range(len(outgoing.to)):
        whom = f"recipient {number + 1} of {len(outgoing.to)}"
        if not (yield from _renew(store, permits)) and not (sent or uncertain):
            order.counting("held_back", 1, reason="storm")
            log.warning("Writing the alert took so long that another one may have been sent: it is held back")
            break
        try:
            message = yield from made(outgoing.call(number))
        except SendUncertain as error:
            uncertain += 1
            order.counting("uncertain", 1)
            log.error("Nobody knows whether %s was alerted, and it is not tried again: %s", whom, error)
        except TwilioError as error:
            log.error("THE ALERT WAS NOT SENT to %s. %s: %s", whom, type(error).__name__, error)
            hopeless = isinstance(error, (AuthenticationFailed, TransportFailed))
            failed = len(outgoing.to) - number if hopeless else 1
            order.counting("failed", failed, verdict=verdict_of(error))
            if hopeless:
                break  # the others would not fare better
        else:
            sent += 1
            order.counting("sent", 1)
            log.info("Twilio accepted the alert to %s as %s", whom, message.sid)
    return sent, uncertain


def _renew(store: AlertStore, permits: Sequence[Permit]) -> Flow[bool]:
    """Keep the permits; False where others may have one by now."""
    kept = True
    for permit in permits:
        try:
            kept = (yield from store.renew(permit)) and kept
        except StoreFailed as error:
            log.warning("%s was not told that the alert is still being sent: %s", store.name, error)
    return kept


def _close(store: AlertStore, permits: Sequence[Permit], *, sent: bool) -> Flow[None]:
    """Write down what became of the message."""
    try:
        for permit in permits:
            yield from (store.settle(permit) if sent else store.release(permit))
    except StoreFailed as error:
        log.warning(
            "%s did not take what became of the alert, so another one may be sent: %s", store.name, error
        )
