"""A large campaign's receipts back: from the emulator to a real PostgreSQL, or to Parquet without one."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import requests

from tests.bench.measure import Cost, emulator, measured, paired, report
from tests.event_receiver import Receiver, received, until
from tests.postgres import installed, postgres_running

__all__ = ["run"]

COUNT = int(os.environ.get("BENCH_RECEIPTS", "1000000"))
FAILED = COUNT // 25
UNREACHABLE = {"match": "^.1303", "status": "UNDELIVERED", "code": 30003}
KINDS = ("com.twilio.comms-api.message.failed", "com.twilio.comms-api.message.undelivered")
PAIRS = int(os.environ.get("BENCH_PAIRS", "2"))
PAGE = 1000
WARM_UP = 1  # the first operation is read once before, beside its pages
WARM_UP_REASONS = 10


def people(count: int) -> Iterator[str]:
    """One in 25 is somebody whom a message does not reach."""
    for n in range(count):
        yield f"+1303{n:07d}" if n % 25 == 0 else f"+1555{n:07d}"


def connections(url: str, port: int | None, told: str | None = None) -> None:
    """Set what the operator reads; ``told`` is a file of Variables with the codes that events told."""
    from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

    os.environ["AIRFLOW_CONN_WAREHOUSE"] = f"postgres://postgres@127.0.0.1:{port}/postgres"
    os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"] = json.dumps(
        {
            "conn_type": "twilio",
            "login": ACCOUNT_SID,
            "password": AUTH_TOKEN,
            "extra": {"base_url": f"{url}/{{product}}"},
        }
    )
    os.environ["AIRFLOW__TWILIO__WEBHOOK_KEEPS_CODES"] = str(told is not None)
    variables = json.loads(Path(told).read_text()) if told else {}
    os.environ.update({f"AIRFLOW_VAR_{name.upper()}": text for name, text in variables.items()})


def send(url: str, count: int) -> list[str]:
    """The campaign, in a hundred operations."""
    from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
    from tests.fakes import MemoryStore, context

    connections(url, None)
    task = TwilioBulkMessageOperator(
        task_id="send",
        recipients=people(count),
        content="Your order is here.",
        sender="+15005550006",
        wait_for="accepted",
    )
    sent = task.execute(context(MemoryStore()))
    assert sent
    ids = sent["operation_ids"]
    assert isinstance(ids, list)
    return ids


@contextmanager
def listening(url: str) -> Iterator[Receiver]:
    """Take the events of messages that fail, as Event Streams posts them."""
    from airflow_provider_twilio_comms.api.events import sinks, subscriptions
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

    connections(url, None)
    hook = TwilioHook()
    with received() as receiver:
        sid = hook.run(sinks.create("Bench", f"{receiver.url}/events")).sid
        hook.run(subscriptions.create("Bench", sid, dict.fromkeys(KINDS)))
        time.sleep(1.1)  # what is sent in the second of the subscription is older than it
        yield receiver


def variables_of(events: list[dict[str, Any]]) -> dict[str, str]:
    """Return what the API server keeps of events."""
    from airflow_provider_twilio_comms._core.reporting import told_codes
    from airflow_provider_twilio_comms.plugins.webhooks.payloads import incoming

    things = incoming("events", (), json.dumps(events).encode(), lambda number: None)
    changes = told_codes.read_changes(thing.extra for thing in things)
    return {
        told_codes.variable_of(name): told_codes.add_changes(None, each) or "{}"
        for name, each in changes.items()
    }


def floor(url: str, ids: list[str], port: int | None, told: str | None) -> Cost:
    """The bare lists, one page after the other, each decoded once, and nothing kept."""
    import msgspec

    from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

    def work() -> None:
        with requests.Session() as session:
            session.auth = (ACCOUNT_SID, AUTH_TOKEN)
            for name in ids:
                query: dict[str, Any] = {"operationId": name, "pageSize": 1000}
                while query.get("pageToken", "first"):
                    reply = session.get(f"{url}/comms/v1/Messages", params=query, timeout=60)
                    page = msgspec.json.decode(reply.content)
                    assert page["messages"]
                    query["pageToken"] = page["pagination"]["next"]

    return measured(work)


def receipts(url: str, ids: list[str], port: int | None, told: str | None) -> Cost:
    """The operator; the table is made anew each time."""
    from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
    from tests.fakes import context

    connections(url, port, told)
    with tempfile.TemporaryDirectory() as folder:
        place: dict[str, Any] = {"output_path": str(Path(folder) / "receipts.parquet")}
        if port is not None:
            place = {"sql_conn_id": "warehouse", "table": f"receipts_{os.getpid()}", "create_table": True}
        options = {"redact": "numbers", "max_reasons": FAILED, **place}
        task: Any = partial(TwilioReceiptsOperator, task_id="receipts", **options)
        task(operation_ids=ids[:1], max_reasons=10).execute(context())
        found: dict[str, Any] = {}
        cost = measured(lambda: found.update(task(operation_ids=ids).execute(context())))
    assert found["rows"] == COUNT
    assert sum(found["codes"].values()) == FAILED
    return cost


def run() -> dict[str, float]:
    """Measure, print, and return the lines for machines."""
    with ExitStack() as stack:
        url = stack.enter_context(emulator("--pace", "0"))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        requests.post(f"{url}/_emulator/options", json={"outcomes": [UNREACHABLE]}, timeout=60)
        with listening(url) as receiver:
            ids = send(url, COUNT)
            until(lambda: len(receiver.events) >= FAILED, seconds=600)
        told = Path(folder) / "variables.json"
        told.write_text(json.dumps(variables_of(receiver.events)))
        port = stack.enter_context(postgres_running()).port if installed() is not None else None
        before = made(url)
        pair = paired(receipts, floor, PAIRS, url, ids, port, str(told))
        between = made(url)
        asking = alone(receipts, url, ids, port, None)
        after = made(url)
    place = "Parquet" if port is None else "PostgreSQL"
    report(
        f"Receipts: {COUNT:,} in {len(ids)} operations, {FAILED:,} of them failed, from the emulator",
        "CPU of the client process, peak RSS over the start; a pair takes turns, the best of each is shown",
        {
            "bare lists, decoded and dropped": _cost(min(pair.floor, key=_cpu)),
            f"TwilioReceiptsOperator, to {place}, told the codes by events": _cost(min(pair.ours, key=_cpu)),
            "the same, asking for each code": _cost(asking),
        },
    )
    best = min(pair.ours, key=_cpu)
    warm = WARM_UP + COUNT // len(ids) // PAGE
    both = (between - before) // PAIRS
    return {
        "receipts_rows_per_s": round(COUNT / best.wall),
        "receipts_peak_mib": round(pair.peak_mib, 1),
        "receipts_cpu_ratio": round(
            min(ours.cpu / bare.cpu for ours, bare in zip(pair.ours, pair.floor, strict=True)), 2
        ),
        "receipts_cpu_ratio_asking": round(asking.cpu / min(map(_cpu, pair.floor)), 2),
        "receipts_requests_with_events": both - COUNT // PAGE - warm,
        "receipts_requests": after - between - warm - WARM_UP_REASONS,
    }


def alone(work: Callable[..., Cost], *arguments: Any) -> Cost:
    """Do it once, in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def made(url: str) -> int:
    """Count how many requests the emulator has answered."""
    return int(requests.get(f"{url}/_emulator/requests", timeout=60).json()["total"])


def _cpu(cost: Cost) -> float:
    return cost.cpu


def _cost(cost: Cost) -> str:
    rows = f"{COUNT / cost.wall:9,.0f} rows/s"
    return f"{cost.cpu:6.2f} s CPU {cost.wall:6.2f} s wall {cost.peak_mib:6.1f} MiB {rows}"
