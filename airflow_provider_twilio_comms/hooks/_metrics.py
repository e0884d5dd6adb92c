"""Metrics, emitted through Airflow's own: StatsD, Datadog or OpenTelemetry, as ``[metrics]`` configures them.

``METRICS`` lists every metric. Tags have few values, never a phone number or a text. Plain StatsD drops tags,
as it does with Airflow's own; Datadog, OpenTelemetry and StatsD with ``statsd_influxdb_enabled`` keep them.

Nothing here raises: a send that cannot be counted goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import cache, partial
from typing import Any, Literal, NamedTuple, Protocol

from airflow_provider_twilio_comms.exceptions import scrub

log: logging.Logger = logging.getLogger(__name__)


class Metric(NamedTuple):
    """A metric: its kind, tags and meaning. A timer is in milliseconds."""

    kind: Literal["counter", "gauge", "timer"]
    tags: tuple[str, ...]
    meaning: str


TAGS: dict[str, str] = {
    "conn_id": "The connection's id.",
    "kind": "Kind of send: `bulk` (Communications API), `message` (classic API), `question` (an approval).",
    "verdict": "The verdict on Twilio's code: `retry`, `recipient`, `opt-out`, `configuration` or `unknown`; "
    "`not-asked` if a bulk message's reason was not looked up.",
    "on_unknown": "The task's argument: `fail`, `resend` or `assume_sent`.",
    "end": "`done`, `timeout`, `gone` (Twilio no longer has it) or `error`.",
    "resource": "The polled resource: `operations` or `messages`, and for an asset's watcher `inbound-watch` "
    "or `operations-watch`.",
    "result": "`ok`, or `failed` if Twilio did not answer every request of the round.",
    "reason": "`storm` (the window or the limit per hour), `quiet_hours`, or `no_store` (the store of alerts "
    "did not answer, and `without_store` is `hold`).",
}

_SEND = ("conn_id", "kind")
_POLL = ("conn_id", "resource")

METRICS: dict[str, Metric] = {
    "twilio.messages.sent": Metric(
        "counter",
        _SEND,
        "Recipients in requests that were made. Each ends as accepted, refused or uncertain, unless the "
        "worker dies before that.",
    ),
    "twilio.messages.accepted": Metric(
        "counter",
        _SEND,
        "Recipients whose request Twilio accepted, as its reply says or, if that was lost, its list. Those "
        "that an earlier try counted are not counted again.",
    ),
    "twilio.messages.refused": Metric(
        "counter",
        (*_SEND, "verdict"),
        "Recipients whose request Twilio did not accept, or never received. A later try counts them again.",
    ),
    "twilio.messages.uncertain": Metric(
        "counter",
        (*_SEND, "on_unknown"),
        "Recipients whose request was made without knowing, even from Twilio's list, if it was accepted. "
        "Check these. Each try that looks for them and does not find them counts them again.",
    ),
    "twilio.messages.delivered": Metric(
        "counter",
        _SEND,
        "Messages that had arrived when a task's wait for them ended. A task that does not wait counts none, "
        "and two that wait for the same messages count them twice.",
    ),
    "twilio.messages.failed": Metric(
        "counter",
        (*_SEND, "verdict"),
        "Messages that will not arrive, as known when a task's wait ended. For bulk messages, at most 50 "
        "reasons are looked up, and only if the task fails.",
    ),
    "twilio.receipts.failed": Metric(
        "counter",
        ("conn_id", "verdict"),
        "Failures among the receipts that a task wrote, each by its reason, up to `max_reasons`.",
    ),
    "twilio.waits.ended": Metric(
        "counter",
        (*_SEND, "end"),
        "Waits of tasks that ended, in the triggerer or in a worker. The time-out of a sensor that pokes is "
        "Airflow's, and is not counted here.",
    ),
    "twilio.waits.running": Metric(
        "gauge",
        _POLL,
        "Tasks that wait on this triggerer's poll. Each triggerer reports its own.",
    ),
    "twilio.polls.made": Metric(
        "counter",
        (*_POLL, "result"),
        "Rounds of a triggerer's polls. A round serves all waits of a connection.",
    ),
    "twilio.polls.duration": Metric("timer", _POLL, "Duration of a round."),
    "twilio.polls.lag": Metric(
        "timer",
        _POLL,
        "Delay of a round's start, because the triggerer's event loop was busy.",
    ),
    "twilio.alerts.sent": Metric("counter", ("conn_id",), "Alert messages that Twilio accepted."),
    "twilio.alerts.failed": Metric(
        "counter",
        ("conn_id", "verdict"),
        "Alert messages that were not sent; an alert that failed before its first message counts as one.",
    ),
    "twilio.alerts.uncertain": Metric(
        "counter",
        ("conn_id",),
        "Alert messages that Twilio may or may not have accepted. They are not repeated.",
    ),
    "twilio.alerts.held_back": Metric(
        "counter", ("conn_id", "reason"), "Alerts that were held back, by the reason."
    ),
}


def count(name: str, number: int, /, **tags: str) -> None:
    """Add to a counter; adding zero emits nothing."""
    if number:
        _tell("incr", name, number, tags)


def gauge(name: str, value: float, **tags: str) -> None:
    """Set a gauge."""
    _tell("gauge", name, value, tags)


def timing(name: str, seconds: float, **tags: str) -> None:
    """Record a duration in a timer."""
    _tell("timing", name, timedelta(seconds=seconds), tags)


class _Counting(Protocol):
    def __call__(self, what: str, count: int, **tags: str) -> None: ...


def counting(group: str, **tags: str) -> _Counting:
    """Make a counter for code that must not import Airflow: ``sent`` counts as ``twilio.<group>.sent``."""
    return partial(_counted, group, tags)


def _counted(group: str, known: Mapping[str, str], what: str, number: int, **tags: str) -> None:
    count(f"twilio.{group}.{what}", number, **known, **tags)


def arrived(delivered: int, failed: Mapping[str, int], **tags: str) -> None:
    """Count the messages at the end of a wait; ``failed`` by verdict."""
    count("twilio.messages.delivered", delivered, **tags)
    for verdict, number in failed.items():
        count("twilio.messages.failed", number, verdict=verdict, **tags)


def polled(seconds: float, *, failed: bool, **tags: str) -> None:
    """Count a round of a poll and record its duration."""
    count("twilio.polls.made", 1, result="failed" if failed else "ok", **tags)
    timing("twilio.polls.duration", seconds, **tags)


def ready() -> None:
    """Set up metrics now, since the first one would block: it reads a file and resolves a host name."""
    _tell("timer", "twilio.polls.duration", {})


def _tell(verb: str, name: str, *arguments: Any) -> None:
    """Emit through Airflow's metrics, whichever backend it is, and even if it does not work."""
    *values, tags = arguments
    try:
        import airflow.sdk.serde  # noqa: F401  # configures them, where Airflow 3.2 has not yet
        from airflow.sdk.observability.stats import Stats

        getattr(Stats, verb)(name, *values, tags=tags)
    except Exception as error:
        _complain(type(error).__name__, scrub(str(error)))


@cache
def _complain(kind: str, text: str) -> None:
    """Log each error once: broken metrics repeat it for every value."""
    log.warning("Airflow's metrics do not work, so nothing is counted (%s: %s)", kind, text)
