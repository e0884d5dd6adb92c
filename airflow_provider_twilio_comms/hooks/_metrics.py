"""Counts and times, through Airflow's own metrics: StatsD, Datadog or OpenTelemetry, as its [metrics] say.

``METRICS`` is all there is. Tags have few values, and never a number or a text. Plain StatsD drops tags, as
it does with Airflow's own; Datadog, OpenTelemetry and StatsD with ``statsd_influxdb_enabled`` keep them.

Nothing here raises: a send goes on without being counted.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import cache, partial
from typing import Any, Literal, NamedTuple, Protocol

from airflow_provider_twilio_comms.exceptions import scrub

__all__ = [
    "METRICS",
    "TAGS",
    "Metric",
    "arrived",
    "count",
    "counting",
    "gauge",
    "polled",
    "ready",
    "timing",
]

log: logging.Logger = logging.getLogger(__name__)


class Metric(NamedTuple):
    """One metric. A timer is in milliseconds."""

    kind: Literal["counter", "gauge", "timer"]
    tags: tuple[str, ...]
    meaning: str


TAGS: dict[str, str] = {
    "conn_id": "The connection's id.",
    "kind": "What sent: `bulk` (Communications API), `message` (classic API) or `question` (an approval).",
    "verdict": "What to do: `retry`, `recipient`, `opt-out`, `configuration` or `unknown`, as with Twilio's "
    "codes; `not-asked` where a bulk message's reason was not looked up.",
    "on_unknown": "What the author chose: `fail`, `resend` or `assume_sent`.",
    "end": "`done`, `timeout`, `gone` (Twilio does not know it any more) or `error`.",
    "resource": "What is asked for: `operations` or `messages`, and for an asset's watcher `inbound-watch` "
    "or `operations-watch`.",
    "result": "`ok`, or `failed` where Twilio did not answer for all that was asked.",
    "reason": "`storm` (the window or the limit per hour), `quiet_hours`, or `no_store` (the store of "
    "alerts did not answer, and `without_store` says hold).",
}

_SEND = ("conn_id", "kind")
_POLL = ("conn_id", "resource")

METRICS: dict[str, Metric] = {
    "twilio.messages.sent": Metric(
        "counter",
        _SEND,
        "Recipients in requests that were made. Each ends as accepted, refused or uncertain, unless the "
        "worker dies first.",
    ),
    "twilio.messages.accepted": Metric(
        "counter",
        _SEND,
        "Recipients whose request Twilio has taken, by its reply or, where that was lost, by its list. What "
        "an earlier try has counted is not counted again.",
    ),
    "twilio.messages.refused": Metric(
        "counter",
        (*_SEND, "verdict"),
        "Recipients whose request Twilio did not take, or never got. A later try counts anew.",
    ),
    "twilio.messages.uncertain": Metric(
        "counter",
        (*_SEND, "on_unknown"),
        "Recipients whose request was made, and nobody knows whether Twilio took it, not even from its "
        "list. Look at these. Each try that looks for them in vain counts them.",
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
        "Messages that will not arrive, as known when a task's wait ended. Of bulk messages, Twilio is asked "
        "for 50 reasons at most, and only where the task fails.",
    ),
    "twilio.receipts.failed": Metric(
        "counter",
        ("conn_id", "verdict"),
        "Failures among the receipts that a task has written: every one by its reason, up to `max_reasons`.",
    ),
    "twilio.waits.ended": Metric(
        "counter",
        (*_SEND, "end"),
        "Waits of tasks that ended, in the triggerer or in a worker. A sensor that pokes has its time-out "
        "from Airflow, which is not counted here.",
    ),
    "twilio.waits.running": Metric(
        "gauge",
        _POLL,
        "Tasks that wait on this triggerer's poll. Two triggerers report one each.",
    ),
    "twilio.polls.made": Metric(
        "counter",
        (*_POLL, "result"),
        "Rounds of a triggerer's polls. One serves all who wait on a connection.",
    ),
    "twilio.polls.duration": Metric("timer", _POLL, "How long a round takes."),
    "twilio.polls.lag": Metric(
        "timer",
        _POLL,
        "By how much a round begins too late, because the triggerer's event loop was busy.",
    ),
    "twilio.alerts.sent": Metric("counter", ("conn_id",), "Messages of alerts that Twilio has taken."),
    "twilio.alerts.failed": Metric(
        "counter",
        ("conn_id", "verdict"),
        "Messages of alerts that were not sent; an alert that could not even be written counts as one.",
    ),
    "twilio.alerts.uncertain": Metric(
        "counter",
        ("conn_id",),
        "Messages of alerts of which nobody knows whether Twilio took them. They are not repeated.",
    ),
    "twilio.alerts.held_back": Metric(
        "counter", ("conn_id", "reason"), "Alerts that were held back, by what held them."
    ),
}


def count(name: str, number: int, /, **tags: str) -> None:
    """Add to a counter; zero says nothing."""
    if number:
        _tell("incr", name, number, tags)


def gauge(name: str, value: float, **tags: str) -> None:
    """Say how many there are now."""
    _tell("gauge", name, value, tags)


def timing(name: str, seconds: float, **tags: str) -> None:
    """Say how long something took."""
    _tell("timing", name, timedelta(seconds=seconds), tags)


class _Counting(Protocol):
    def __call__(self, what: str, count: int, **tags: str) -> None: ...


def counting(group: str, **tags: str) -> _Counting:
    """For what knows nothing of Airflow: it says ``sent`` and is counted as ``twilio.<group>.sent``."""
    return partial(_counted, group, tags)


def _counted(group: str, known: Mapping[str, str], what: str, number: int, **tags: str) -> None:
    count(f"twilio.{group}.{what}", number, **known, **tags)


def arrived(delivered: int, failed: Mapping[str, int], **tags: str) -> None:
    """Count what a wait has ended with; ``failed`` by verdict."""
    count("twilio.messages.delivered", delivered, **tags)
    for verdict, number in failed.items():
        count("twilio.messages.failed", number, verdict=verdict, **tags)


def polled(seconds: float, *, failed: bool, **tags: str) -> None:
    """Count a round of a poll, which took so long."""
    count("twilio.polls.made", 1, result="failed" if failed else "ok", **tags)
    timing("twilio.polls.duration", seconds, **tags)


def ready() -> None:
    """Do now what the first metric would otherwise block for: it reads a file and looks up a host's name."""
    _tell("timer", "twilio.polls.duration", {})


def _tell(verb: str, name: str, *arguments: Any) -> None:
    """Tell Airflow's metrics, whatever they are, and whether or not they work."""
    *values, tags = arguments
    try:
        import airflow.sdk.serde  # noqa: F401  # configures them, where Airflow 3.2 has not yet
        from airflow.sdk.observability.stats import Stats

        getattr(Stats, verb)(name, *values, tags=tags)
    except Exception as error:
        _complain(type(error).__name__, scrub(str(error)))


@cache
def _complain(kind: str, text: str) -> None:
    """Once for each error: whoever's metrics are broken has plenty of them."""
    log.warning("Airflow's metrics do not work, so nothing is counted (%s: %s)", kind, text)
