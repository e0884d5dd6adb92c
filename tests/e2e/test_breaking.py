"""Whatever is killed or restarted: everybody is texted once, nobody twice, and nobody is lost."""

from __future__ import annotations

import csv
import datetime
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from airflow_provider_twilio_comms.demo.processes import until
from airflow_provider_twilio_comms.operators.messaging_services import TwilioMessagingServiceOperator
from tests.conftest import environment
from tests.e2e.deployment import EVERYBODY, LONG, WORKERS, Deployment
from tests.fakes import context
from tests.stack.leaks import credentials, leaks
from tests.stack.sends import Send

pytestmark = [pytest.mark.stack, pytest.mark.e2e]

SENDER = "+15005550006"
AREA = "312"  # where those live whose messages are waited for
HOUR = 3600.0  # a pace at which nothing arrives until Twilio's clock is set forward
EACH = 2  # people in a request of the bulk send
# How an error names the request whose outcome is unknown.
UNKNOWN = re.compile(r"SendUncertain.*?request (\d+) of ")
MIDST = 1.0  # seconds that Twilio takes for a request that is to be broken in its midst


def sending(deployment: Deployment, count: int, people: int = 60) -> list[Send]:
    """Sends that take their time, two people a request, once all of them have begun."""
    deployment.emulator.fault(kind="slow", method="POST", path="/Messages", seconds=MIDST, times=None)
    options = {"unknown_after": 6.0}
    sends = [Send(deployment.stack, "chaos_bulk", people, options).start() for _ in range(count)]
    until(lambda: all(map(under_way, sends)), timeout=LONG, what="all to be sending", interval=0.5)
    return sends


def under_way(send: Send) -> bool:
    """Tell if some of its people were texted, and some were not."""
    return len(set(send.counts())) == 2


def waiting(deployment: Deployment, count: int) -> list[Send]:
    """Sends that wait in the triggerers."""
    return [send.deferred() for send in [Send(deployment.stack, "chaos_bulk").start() for _ in range(count)]]


def settle(deployment: Deployment, sends: Iterable[Send], killed: Sequence[Send] = ()) -> None:
    """Everybody was texted once by sends that end well, whatever else has to be started again.

    A process that dies between its note and its request leaves what nobody can tell. So one of the ``killed``
    may be red: it has texted nobody twice, and names a chunk that Twilio does not have, which is sent then.
    """
    for send in sends:

        def ended(send: Send = send) -> str | None:
            deployment.repair()
            state = str(deployment.airflow.run(send.dag_id, send.run_id)["state"])
            return state if state in ("success", "failed") else None

        state = until(ended, timeout=LONG, what=f"{send.run_id} to end", interval=1)
        if state == "failed" and send in killed:
            counts = send.counts()
            assert set(counts) == {0, 1}
            *_, named = UNKNOWN.findall(send.log()) or pytest.fail(send.log()[-4000:])
            chunk = int(named) - 1
            assert counts[chunk * EACH : (chunk + 1) * EACH] == [0] * EACH
            send.decide(on_unknown="resend")
            state = send.cleared()
        assert state == "success", send.log()[-4000:]
        assert set(send.counts()) == {1}


def test_a_worker_killed_in_mid_send(deployment: Deployment) -> None:
    sends = sending(deployment, 8)
    victim, other = WORKERS
    deployment.stack.kill(victim)
    hit = [
        send for send in sends if under_way(send) and ("send", -1, 1) in deployment.ran(victim, send.run_id)
    ]
    assert hit
    settle(deployment, sends, hit)
    assert all(("send", -1, 2) in deployment.ran(other, send.run_id) for send in hit)
    needles = [*(number for send in sends for number in send.to), *(send.text for send in sends)]
    assert leaks(deployment.stack, [*needles, *credentials(deployment.stack)]) == []


def test_waits_of_a_triggerer_that_is_killed_or_frozen(deployment: Deployment, waits: int) -> None:
    later = waits // 10
    people = [f"+1{AREA}2{place:06d}" for place in range(waits)]
    deployment.emulator.change(pace=HOUR)
    deployment.airflow.wait_for_dag("e2e_waits")
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2)
    run_id = deployment.airflow.trigger(
        "e2e_waits",
        {
            "area": AREA,
            "people": waits - later,
            "later": later,
            "service": service(deployment),
            "send_at": at.isoformat(),
        },
    )
    until(
        lambda: deployment.states(run_id).get("deferred") == waits,
        timeout=2 * LONG,
        what=f"{waits} waiting tasks",
        interval=1,
    )
    posts = posted(deployment)
    until(lambda: both_have_some(deployment), timeout=900, what="both triggerers to have some")
    deployment.stack.kill("triggerer")
    second = taken_over(deployment, waits)
    deployment.wait_complete()
    deployment.stack.pause("triggerer-2")
    taken_over(deployment, waits, but=second)
    log = deployment.stack.home / "triggerer-2.log"
    before = log.stat().st_size
    deployment.stack.resume("triggerer-2")
    until(lambda: has_let_go(log, before), timeout=300, what="the frozen one to let go", interval=1)
    assert 0 < stopped(deployment, run_id) <= waits
    assert deployment.states(run_id).get("deferred") == waits
    assert posted(deployment) == posts
    deployment.emulator.control("POST", "clock", {"advance": 4 * HOUR})
    assert deployment.airflow.wait_for_run("e2e_waits", run_id, timeout=2 * LONG) == "success"
    assert posted(deployment) == posts
    ledger = deployment.emulator.ledger()
    assert [ledger.get(number, 0) for number in people] == [1] * waits


def both_have_some(deployment: Deployment) -> bool:
    held = deployment.waits()
    return len(held) == 2 and None not in held


def service(deployment: Deployment) -> str:
    """A messaging service, which scheduled messages need."""
    declared = TwilioMessagingServiceOperator(task_id="s", friendly_name="e2e", phone_numbers=[SENDER])
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=deployment.emulator.connection()):
        return str(declared.execute(context())["sid"])


def posted(deployment: Deployment) -> int:
    """Count how many requests have asked Twilio to do something: to send, or to cancel."""
    counts: dict[str, int] = deployment.emulator.control("GET", "requests")["counts"]
    return sum(count for route, count in counts.items() if not route.startswith("GET"))


def taken_over(deployment: Deployment, waits: int, but: object = None) -> object:
    """Wait until one triggerer has all of them; its job."""

    def taken() -> object:
        held = deployment.waits()
        return next((job for job, count in held.items() if count == waits and job not in (None, but)), None)

    return until(taken, timeout=300, what=f"one triggerer to have {waits} waits", interval=0.5)


def has_let_go(log: Path, since: int) -> bool:
    """Tell if a triggerer says in its log, behind ``since``, that nothing waits in it; each minute."""
    with log.open("rb") as file:
        file.seek(since)
        return b" 0 triggers currently running" in file.read()


def stopped(deployment: Deployment, run_id: str) -> int:
    """Count how many waits were told to stop, as on a kill.

    Airflow cancels a trigger anew at each round until it has ended, so that where many are let go at once a
    second cancel may come before ``on_kill`` is called, which then is not.
    """
    folder = deployment.stack.task_logs / "dag_id=e2e_waits" / f"run_id={run_id}"
    return sum("No longer waiting" in path.read_text() for path in folder.rglob("*.log*"))


@pytest.mark.long
def test_postgresql_is_restarted(deployment: Deployment) -> None:
    deployment.emulator.change(pace=20.0)
    sends = waiting(deployment, 4) + sending(deployment, 6)
    deployment.database.restart()
    settle(deployment, sends)


@pytest.mark.long
def test_redis_is_restarted_and_has_forgotten_everything(deployment: Deployment) -> None:
    deployment.emulator.change(pace=20.0)
    sends = waiting(deployment, 4) + sending(deployment, 6)
    deployment.broker.server.stop()
    sends += [Send(deployment.stack, "chaos_bulk").start() for _ in range(4)]
    time.sleep(3)
    deployment.broker.start()
    settle(deployment, sends)


@pytest.mark.long
def test_a_rolling_restart_of_everything_while_campaigns_run(deployment: Deployment, tmp_path: Path) -> None:
    people = [f"+1617{person:07d}" for person in range(2_000_000, 2_025_000)]
    listed = tmp_path / "people.csv"
    with listed.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("phone", "name", "order_number"), *((number, "Ada", 7) for number in people)]
        )
    deployment.emulator.change(pace=60.0)
    deployment.airflow.wait_for_dag("twilio_bulk_campaign")
    run_id = deployment.airflow.trigger("twilio_bulk_campaign", {"recipients": str(listed)})
    sends = sending(deployment, 4, people=200)
    for name in EVERYBODY:
        deployment.restart(name)
    settle(deployment, sends)
    assert deployment.airflow.wait_for_run("twilio_bulk_campaign", run_id, timeout=LONG) == "success"
    ledger = deployment.emulator.ledger()
    assert [ledger.get(number, 0) for number in people] == [1] * len(people)
