"""Metrics: what a StatsD server gets from real runs, all of it in one table; and none breaks a send."""

from __future__ import annotations

import ast
import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import SendUncertain, TwilioError
from airflow_provider_twilio_comms.hooks import _metrics
from airflow_provider_twilio_comms.hooks._metrics import METRICS, TAGS
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from airflow_provider_twilio_comms.sensors.operations import TwilioOperationSensor
from airflow_provider_twilio_comms.triggers.inbound import TwilioInboundMessageTrigger
from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people
from tests.operators.single_sends import ADA, FROM, message
from tests.operators.test_approval import airflow, asks, operator
from tests.statsd import Client, Told, settle, told
from tests.triggers.conftest import fired

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

__all__ = ["airflow", "told"]  # fixtures

PACKAGE = Path(_metrics.__file__).parents[1]
UNREACHABLE, UNKNOWN_NUMBER, LANDLINE = "+12025559003", "+12025559005", "+12025559006"
BULK = {"conn_id": "twilio_default", "kind": "bulk"}
MESSAGE = {"conn_id": "twilio_default", "kind": "message"}
POLL = {"conn_id": "twilio_default", "resource": "operations"}
CONN = {"conn_id": "twilio_default"}
TESTS = Path(__file__).parents[1]


def test_a_campaign_from_its_send_to_its_receipts(
    emulator: Running, run_dag: Callable[..., DagRun], told: Told, tmp_path: Path
) -> None:
    emulator.twilio.change(pace=0.3)
    to = [*(person["address"] for person in people(7)), UNREACHABLE, UNKNOWN_NUMBER, LANDLINE]
    with DAG("counted", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
        send = bulk(to, wait_for="delivered", min_delivered=0.7, deferrable=True, initial_delay=0)
        send >> TwilioReceiptsOperator(
            task_id="receipts",
            operation_ids="{{ ti.xcom_pull('send')['operation_ids'] }}",
            output_path=str(tmp_path / "receipts.jsonl"),
        )
    assert run_dag(dag).state == "success"
    for name in ("sent", "accepted"):
        settle(told, f"twilio.messages.{name}", 10, **BULK)
    settle(told, "twilio.messages.delivered", 7, **BULK)
    settle(told, "twilio.messages.failed", 2, **BULK, verdict="recipient")  # one of them the landline
    settle(told, "twilio.messages.failed", 1, **BULK, verdict="retry")
    settle(told, "twilio.receipts.failed", 1, **CONN, verdict="retry")
    settle(told, "twilio.receipts.failed", 2, **CONN, verdict="recipient")
    settle(told, "twilio.waits.ended", 1, **BULK, end="done")
    assert told.count("twilio.polls.made", **POLL, result="ok") >= 1
    assert told.count("twilio.polls.made", result="failed") == 0
    waiting = told.values["twilio.waits.running", frozenset(POLL.items())]
    assert max(waiting) == 1
    assert waiting[-1] == 0
    assert all(value < 2000 for value in told.values["twilio.polls.duration", frozenset(POLL.items())])


def test_a_campaign_that_fails_says_why(emulator: Running, told: Told) -> None:
    to = [{"address": number, "channel": "PHONE"} for number in (UNREACHABLE, UNKNOWN_NUMBER, LANDLINE)]
    with pytest.raises(AirflowFailException):
        bulk([*to, *people(1)], wait_for="delivered").execute(context(MemoryStore()))
    settle(told, "twilio.messages.delivered", 1, **BULK)
    settle(told, "twilio.messages.failed", 1, **BULK, verdict="retry")
    settle(told, "twilio.messages.failed", 2, **BULK, verdict="recipient")
    assert told.count("twilio.messages.failed") == 3


@pytest.mark.parametrize(("on_unknown", "accepted"), [("fail", 1), ("assume_sent", 1), ("resend", 3)])
def test_what_nobody_knows_is_counted_as_such(
    emulator: Running, told: Told, on_unknown: Any, accepted: int
) -> None:
    emulator.twilio.faults.add(Fault(kind="error_before", method="POST", path="/Messages$", skip=1))
    send = bulk(people(3), recipients_per_request=1, on_unknown=on_unknown)
    if on_unknown == "fail":
        with pytest.raises(SendUncertain):
            send.execute(context(MemoryStore()))
    else:
        send.execute(context(MemoryStore()))
    settle(told, "twilio.messages.uncertain", 1, **BULK, on_unknown=on_unknown)
    sent = {"fail": 2, "assume_sent": 3, "resend": 4}[on_unknown]
    settle(told, "twilio.messages.sent", sent, **BULK)
    settle(told, "twilio.messages.accepted", sent - 1, **BULK)
    assert told.count("twilio.messages.refused") == 0


def test_a_retry_counts_what_it_adds(emulator: Running, told: Told) -> None:
    store = MemoryStore()
    emulator.twilio.faults.add(Fault(kind="rate_limited", method="POST", path="/Messages$", skip=1))
    with (
        environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(max_attempts=1)),
        pytest.raises(TwilioError),
    ):
        bulk(people(3), recipients_per_request=1).execute(context(store))
    settle(told, "twilio.messages.refused", 1, **BULK, verdict="retry")
    settle(told, "twilio.messages.accepted", 1, **BULK)
    bulk(people(3), recipients_per_request=1).execute(context(store, try_number=2))
    settle(told, "twilio.messages.accepted", 3, **BULK)
    settle(told, "twilio.messages.sent", 4, **BULK)


def test_a_lost_reply_is_accepted_once_it_is_found(emulator: Running, told: Told) -> None:
    emulator.twilio.faults.add(Fault(kind="drop_after", method="POST", path="/Messages$"))
    bulk(people(5)).execute(context(MemoryStore()))
    settle(told, "twilio.messages.accepted", 5, **BULK)
    settle(told, "twilio.messages.sent", 5, **BULK)
    assert told.count("twilio.messages.uncertain") == 0


def test_single_messages(emulator: Running, told: Told) -> None:
    with pytest.raises(AirflowFailException):
        message(to=[ADA, UNREACHABLE], wait_for="delivered").execute(context(MemoryStore()))
    settle(told, "twilio.messages.sent", 2, **MESSAGE)
    settle(told, "twilio.messages.accepted", 2, **MESSAGE)
    settle(told, "twilio.messages.failed", 1, **MESSAGE, verdict="retry")
    settle(told, "twilio.waits.ended", 1, **MESSAGE, end="done")


def test_a_refused_message_has_its_verdict(emulator: Running, told: Told) -> None:
    with pytest.raises(AirflowFailException):
        message(to="+15005550009").execute(context(MemoryStore()))  # cannot receive SMS
    settle(told, "twilio.messages.refused", 1, **MESSAGE, verdict="recipient")
    assert told.count("twilio.messages.accepted") == 0


def test_a_question(emulator: Running, told: Told, airflow: Any) -> None:
    asks(operator(), MemoryStore())
    settle(told, "twilio.messages.accepted", 2, conn_id="twilio_default", kind="question")


def test_a_wait_that_is_not_over_counts_no_messages(emulator: Running, told: Told) -> None:
    emulator.twilio.change(pace=30.0)
    with pytest.raises(TwilioError, match="time is up"):
        bulk(people(2), wait_for="delivered", timeout=0.2).execute(context(MemoryStore()))
    settle(told, "twilio.waits.ended", 1, **BULK, end="timeout")
    assert told.count("twilio.messages.delivered") == told.count("twilio.messages.failed") == 0


def test_a_sensor_counts_too(emulator: Running, told: Told) -> None:
    sent = bulk(people(2)).execute(context(MemoryStore()))
    assert sent
    sensor = TwilioOperationSensor(
        task_id="wait", operation_ids=sent["operation_ids"], wait_for="delivered", deferrable=True
    )
    sensor.execute(context())
    settle(told, "twilio.messages.delivered", 2, **BULK)


async def test_polls_that_fail_and_many_who_wait(emulator: Running, told: Told) -> None:
    emulator.twilio.change(pace=0.6)
    sent = await asyncio.to_thread(
        lambda: bulk(people(4), recipients_per_request=1).execute(context(MemoryStore()))
    )
    assert sent
    emulator.twilio.faults.add(Fault(kind="rate_limited", method="GET", times=4))
    deadline = pendulum.now().timestamp() + 20
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(max_attempts=1)):
        await asyncio.gather(
            *(
                fired(
                    TwilioOperationsTrigger([name], "twilio_default", deadline=deadline, poll_interval=every),
                    20,
                )
                for name in sent["operation_ids"]
                for every in (0.1, 0.2)
            )
        )
    assert told.count("twilio.polls.made", **POLL, result="failed") >= 1
    assert told.count("twilio.polls.made", **POLL, result="ok") >= 2
    waiting = told.values["twilio.waits.running", frozenset(POLL.items())]
    assert max(waiting) == 8
    assert told.values["twilio.polls.lag", frozenset(POLL.items())]


async def test_watchers_poll_too(emulator: Running, told: Told) -> None:
    watch = {"conn_id": "twilio_default", "resource": "inbound-watch"}
    async with aclosing(TwilioInboundMessageTrigger(FROM, poll_interval=0.05).run()) as events:  # type: ignore[type-var]
        coming = asyncio.ensure_future(anext(events))
        await asyncio.to_thread(
            told.wait, lambda told: told.count("twilio.polls.made", **watch, result="ok") >= 2, "two polls"
        )
        coming.cancel()
        await asyncio.wait({coming})


class Broken(Client):
    """A backend with a bug, as ``statsd_custom_client_path`` may name one."""

    def incr(self, *_: Any) -> None:
        raise RuntimeError("the collector is gone")


@pytest.mark.parametrize(
    ("broken", "complaints"),
    [
        ({"AIRFLOW__METRICS__STATSD_CUSTOM_CLIENT_PATH": "tests.hooks.test_metrics.Broken"}, 1),
        ({"AIRFLOW__METRICS__STATSD_CUSTOM_CLIENT_PATH": "tests.fakes.MemoryStore"}, 1),  # no StatsD client
        ({"AIRFLOW__METRICS__STATSD_HOST": "no-such-host.invalid"}, 0),  # Airflow itself says so
    ],
)
def test_a_broken_backend_breaks_no_send(
    emulator: Running, broken: dict[str, str], complaints: int, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow.sdk import serde

    on = {"AIRFLOW__METRICS__STATSD_ON": "True", **broken}
    _metrics._complain.cache_clear()
    try:
        with environment(**on), caplog.at_level(logging.WARNING):
            with suppress(Exception):  # Airflow's own metrics are broken as well
                serde._register()
            result = bulk(people(3), recipients_per_request=1).execute(context(MemoryStore()))
            _metrics.ready()
    finally:
        serde._register()
        Client.close_all()
    assert result
    assert result["status"] == "ACCEPTED"
    assert caplog.text.count("so nothing is counted") == complaints


def called() -> Iterator[tuple[str, str, str]]:
    """File, function and first argument of each call in the package whose first argument is a text."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(args=[ast.Constant(value=str(first)), *_]):
                    yield path.name, ast.unparse(node.func), first


def test_the_table_holds_what_is_told_and_nothing_else() -> None:
    groups = {"send_once.py": "messages", "send.py": "alerts"}  # they do not know their whole names
    told = {first for _, _, first in called() if first.startswith("twilio.") and first.count(".") == 2}
    told |= {
        f"twilio.{groups[file]}.{first}"
        for file, function, first in called()
        if file in groups and function.endswith("counting")
    }
    assert told == set(METRICS)
    assert {tag for metric in METRICS.values() for tag in metric.tags} == set(TAGS)
    assert all(metric.meaning.endswith(".") for metric in METRICS.values())


def test_every_metric_is_tested() -> None:
    texts = [path.read_text() for path in TESTS.rglob("test_metrics.py")]
    assert set(METRICS) <= set(re.findall(r"twilio\.[a-z]+\.[a-z_]+", "".join(texts)))
