"""Webhooks, inbound messages and approvals by text on a real Airflow: its API server and its triggerer."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.client.sync import Client
from airflow_provider_twilio_comms.demo.processes import until
from airflow_provider_twilio_comms.demo.rest import RestFailed
from airflow_provider_twilio_comms.demo.stack import Stack
from airflow_provider_twilio_comms.emulator.callbacks import Callback, signed
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID
from tests.notifications.alert_process import config
from tests.stack.leaks import leaks

pytestmark = pytest.mark.stack

DAGS = Path(__file__).with_name("inbound_dags")
EXAMPLES = Path(__file__).parents[2] / "example_dags"
PUBLIC = "https://airflow.example.com/twilio"
OURS, OTHER, ADA, GRACE = "+15005550006", "+15005550010", "+12025550101", "+12025550102"


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An Airflow that takes webhooks. They arrive at another address than the one that is signed."""
    dags = tmp_path_factory.mktemp("dags")
    for path in (*DAGS.glob("*.py"), EXAMPLES / "twilio_replies.py", EXAMPLES / "twilio_receipts_asset.py"):
        (dags / path.name).symlink_to(path)
    env = {
        "AIRFLOW__TWILIO__WEBHOOK_ENABLED": "True",
        "AIRFLOW__TWILIO__WEBHOOK_PUBLIC_URL": PUBLIC,
        "AIRFLOW__TWILIO__WEBHOOK_MAX_RATE": "500",
        "AIRFLOW_VAR_PEOPLE": json.dumps({"ada": ADA, "grace": GRACE}),
    }
    with Stack(dags, env=env) as started:
        for dag in ("stack_hears", "stack_told", "stack_asks", "twilio_replies", "twilio_receipts_asset"):
            started.airflow.wait_for_dag(dag)
        yield started


def write(stack: Stack, sender: str, body: str, to: str = OURS) -> str:
    assert stack.emulator is not None
    sid: str = stack.emulator.control("POST", "inbound", {"from": sender, "to": to, "body": body})["sid"]
    return sid


def events(stack: Stack, name: str) -> list[dict[str, Any]]:
    """The payloads of an asset's events, oldest first."""

    def read() -> list[dict[str, Any]] | None:
        assets = stack.airflow.call("GET", f"/assets?name_pattern={name}&limit=5")["assets"]
        path = f"/assets/events?asset_id={assets[0]['id']}&limit=100&order_by=timestamp"
        try:
            found = stack.airflow.call("GET", path)["asset_events"]
        except RestFailed as failure:  # so Airflow 3.3.2 says while a run that an event made is queued
            if failure.status != 500:
                raise
            return None
        return [event["extra"]["payload"] for event in found]

    return until(read, timeout=300, what=f"the events of {name}", interval=0.5)


def a_run(stack: Stack, dag_id: str) -> str:
    """The first run of a DAG, ended."""
    runs = until(
        lambda: stack.airflow.call("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"] or None,
        timeout=300,
        what=f"a run of {dag_id}",
    )
    assert runs[0]["run_type"] == "asset_triggered"
    return stack.airflow.wait_for_run(dag_id, runs[0]["dag_run_id"])


def form(number: int, body: str = "Hello") -> list[tuple[str, str]]:
    return [("MessageSid", f"SM{number:032x}"), ("AccountSid", ACCOUNT_SID), ("From", ADA), ("Body", body)]


def sent(stack: Stack, session: requests.Session, callback: Callback) -> int:
    url = stack.url + "/twilio" + callback.url.removeprefix(PUBLIC)
    return session.post(url, callback.body, headers=callback.headers, timeout=300).status_code


def test_ten_thousand_forged_or_replayed_webhooks_leave_the_api_server_up(listening: Stack) -> None:
    genuine = [signed(f"{PUBLIC}/inbound", form(number)) for number in range(5)]

    def forged(number: int) -> Callback:
        match number % 4:
            case 0:
                return genuine[number % 5]
            case 1:
                return signed(f"{PUBLIC}/inbound", form(1000 + number), "another token")
            case 2:
                return genuine[0]._replace(body=genuine[1].body)
            case _:
                elsewhere = signed(f"{listening.url}/twilio/inbound", form(1000 + number))
                return elsewhere._replace(url=f"{PUBLIC}/inbound")

    answers: Counter[int] = Counter()
    with requests.Session() as session:
        session.trust_env = False
        assert [sent(listening, session, each) for each in genuine] == [204] * 5
        assert session.get(f"{listening.url}/twilio/inbound", timeout=300).status_code == 403
        # Airflow's own API server stands still for seconds around its first task, which is not measured here.
        assert a_run(listening, "stack_told") == "success"

        def post(start: int) -> Counter[int]:
            with requests.Session() as own:
                own.trust_env = False
                return Counter(sent(listening, own, forged(number)) for number in range(start, start + 1250))

        slowest, pool = 0.0, ThreadPoolExecutor(8)
        with pool:
            jobs = [pool.submit(post, start) for start in range(0, 10_000, 1250)]
            while not all(job.done() for job in jobs):
                began = time.monotonic()
                listening.airflow.health()
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.5)
            for job in jobs:
                answers += job.result()
    assert answers == {204: 2500, 403: 7500}
    assert slowest < 10
    assert listening.airflow.health()["metadatabase"]["status"] == "healthy"
    told = events(listening, "twilio://webhook/inbound")
    assert sorted(each["sid"] for each in told) == [f"SM{number:032x}" for number in range(5)]


def test_inbound_messages_start_runs_and_none_is_missed_or_told_twice(listening: Stack) -> None:
    wanted = [write(listening, ADA, f"one {number}", OTHER) for number in range(5)]
    until(lambda: len(events(listening, "stack_watched")) >= 5, timeout=300, what="five events")
    time.sleep(6)  # what was told is noted once Airflow has stored it
    listening.kill("triggerer")
    wanted += [write(listening, GRACE, f"two {number}", OTHER) for number in range(5)]
    listening.start_component("triggerer")
    wanted += [write(listening, ADA, f"three {number}", OTHER) for number in range(5)]
    until(lambda: len(events(listening, "stack_watched")) >= 15, timeout=300, what="fifteen events")
    time.sleep(6)
    assert [each["sid"] for each in events(listening, "stack_watched")] == wanted
    assert a_run(listening, "stack_hears") == "success"


def test_inbound_stops_go_onto_the_list_of_suppressed_numbers(listening: Stack) -> None:
    stop = write(listening, ADA, " Stop! ")
    write(listening, GRACE, "Please do not stop")
    assert a_run(listening, "twilio_replies") == "success"
    with closing(sqlite3.connect(listening.home / "suppressed.db")) as database:
        assert database.execute("SELECT number, sid FROM suppressed").fetchall() == [(ADA, stop)]
    (listening.home / "suppressed.db").unlink()  # where numbers are kept on purpose


def test_a_campaigns_last_receipt_starts_a_run(listening: Stack) -> None:
    assert listening.emulator is not None
    client = Client(config(f"{listening.emulator.url}/{{product}}"))
    to = [{"address": ADA, "channel": "PHONE"}]
    try:
        client.run(messages.send(to, "Spring", sender=OURS, tags={"campaign": "spring"}))
    finally:
        client.close()
    assert a_run(listening, "twilio_receipts_asset") == "success"
    run_id = listening.airflow.call("GET", "/dags/twilio_receipts_asset/dagRuns")["dag_runs"][0]["dag_run_id"]
    told = listening.airflow.xcom("twilio_receipts_asset", run_id, "report")
    assert told == {"operations": 1, "delivered": 1, "failed": 0}


def asked(stack: Stack, run_id: str) -> str:
    """The code in the question that a run has texted."""
    assert stack.emulator is not None

    def found() -> str | None:
        assert stack.emulator is not None
        for row in stack.emulator.control("GET", "outbox?size=100")["rows"]:
            if run_id in row["text"] and row["to"] == ADA:
                return re.search(r"YES (\d+)", row["text"])[1]  # type: ignore[index]
        return None

    return until(found, timeout=300, what="the question")


def start(stack: Stack) -> tuple[str, str]:
    run_id = stack.airflow.trigger("stack_asks")
    code = asked(stack, run_id)
    stack.airflow.wait_for_task("stack_asks", run_id, "approve", ("deferred",))
    return run_id, code


def answer(stack: Stack, run_id: str) -> Any:
    assert stack.airflow.wait_for_run("stack_asks", run_id) == "success"
    return stack.airflow.xcom("stack_asks", run_id, "after")


def test_an_approval_by_text_and_only_by_the_right_text(listening: Stack) -> None:
    run_id, code = start(listening)
    wrong = f"{(int(code) + 1) % 10_000:04}"
    for sender, body in (
        (ADA, f"YES {wrong}"),
        ("+12025550199", f"YES {code}"),
        (ADA, f"not yes {code}"),
        (ADA, "YES"),
        (GRACE, f"yes {code}."),
        (ADA, f"NO {code}"),
    ):
        write(listening, sender, body)
        time.sleep(1.1)  # Twilio's times are whole seconds
    listening.kill("triggerer")
    listening.start_component("triggerer")
    assert answer(listening, run_id) == "YES by Grace via text"
    write(listening, ADA, f"NO {code}")
    time.sleep(4)
    assert listening.airflow.task("stack_asks", run_id, "approve")["state"] == "success"
    assert leaks(listening, [ADA, GRACE, f"YES {code}"]) == []


def hitl(run_id: str) -> str:
    return f"/dags/stack_asks/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"


def test_an_approval_in_airflow_beats_a_later_text(listening: Stack) -> None:
    run_id, code = start(listening)
    time.sleep(10)  # with LocalExecutor, Airflow 3.3 may fail a task that resumes at once
    body = {"chosen_options": ["NO"], "params_input": {}}
    listening.airflow.call("PATCH", hitl(run_id), json=body)
    write(listening, ADA, f"YES {code}")
    assert answer(listening, run_id).startswith("NO by ")
    assert answer(listening, run_id).endswith(" via airflow")


def test_an_approval_by_text_beats_a_later_answer_in_airflow(listening: Stack) -> None:
    run_id, code = start(listening)
    write(listening, ADA, f"{code} no")
    assert answer(listening, run_id) == "NO by Ada via text"
    with pytest.raises(RestFailed) as refused:
        listening.airflow.call("PATCH", hitl(run_id), json={"chosen_options": ["YES"], "params_input": {}})
    assert refused.value.status == 409
    assert listening.emulator is not None
    rows = listening.emulator.control("GET", "outbox?size=200")["rows"]
    assert Counter(row["to"] for row in rows if run_id in row["text"]) == {ADA: 1, GRACE: 1}
