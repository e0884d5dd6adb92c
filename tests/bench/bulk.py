"""A million recipients: the operator beside the least that could be done."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from airflow_provider_twilio_comms._core.sending.ledger import HEADS
from tests.bench.measure import Cost, emulator, measured, paired, report
from tests.fakes import MemoryStore

__all__ = ["run"]

COUNT = 1_000_000
SLOW = 1.0  # seconds that a request takes where Twilio is slow
CONTENT = "Hello {{ name }}, your order {{ order }} comes on {{ day }}."
SENDER = "+15005550006"


def recipients(count: int = COUNT) -> Iterator[dict[str, Any]]:
    """Recipients in the API's own form, with three variables each."""
    for n in range(count):
        yield {
            "address": f"+1555{n:07d}",
            "channel": "PHONE",
            "variables": {"name": f"Person {n}", "order": f"A-{n}", "day": "Tuesday"},
        }


def rows(count: int = COUNT) -> Iterator[dict[str, Any]]:
    """The same people as rows of a table."""
    for n in range(count):
        yield {"phone": f"+1555{n:07d}", "name": f"Person {n}", "order": f"A-{n}", "day": "Tuesday"}


def floor(url: str) -> Cost:
    """The generator drained into lists of 10,000, each encoded once and posted."""
    import msgspec
    import requests

    from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

    def work() -> None:
        source = recipients()
        with requests.Session() as session:
            while chunk := list(islice(source, 10_000)):
                body = msgspec.json.encode(
                    {
                        "from": {"address": SENDER, "channel": "SMS"},
                        "to": chunk,
                        "content": {"text": CONTENT},
                    }
                )
                reply = session.post(
                    f"{url}/comms/v1/Messages",
                    data=body,
                    headers={"Content-Type": "application/json"},
                    auth=(ACCOUNT_SID, AUTH_TOKEN),
                    timeout=60,
                )
                assert reply.status_code == 202, reply.text

    return measured(work)


class CountingStore(MemoryStore):
    """A task state store that counts what is asked of it: for the whole send, and for its chunks."""

    def __init__(self) -> None:
        super().__init__()
        self.sends = self.chunks = 0

    def count(self, key: str) -> None:
        if key == HEADS:
            self.sends += 1
        else:
            self.chunks += 1

    def get(self, key: str, default: Any = None) -> Any:
        self.count(key)
        return super().get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self.count(key)
        super().set(key, value, retention=retention)


def ledger_operations(url: str) -> CountingStore:
    """Return what one bulk send asks of Airflow's store."""
    store = CountingStore()
    operator(url, store=store)
    return store


def operator(url: str, flat: bool = False, store: MemoryStore | None = None) -> Cost:
    """The operator, with the same generator or with rows."""
    from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
    from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
    from tests.fakes import context

    os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"] = json.dumps(
        {
            "conn_type": "twilio",
            "login": ACCOUNT_SID,
            "password": AUTH_TOKEN,
            "extra": {"base_url": f"{url}/{{product}}"},
        }
    )

    def send(source: Iterator[Any], store: MemoryStore) -> None:
        task = TwilioBulkMessageOperator(
            task_id="send", recipients=source, content=CONTENT, sender=SENDER, wait_for="accepted"
        )
        task.execute(context(store, run_id=str(id(source))))

    send(recipients(10), MemoryStore())  # imports and the connection are not the send's cost
    return measured(lambda: send(rows() if flat else recipients(), store or MemoryStore()))


def slow(url: str) -> Cost:
    """The operator, where each request takes Twilio a second."""
    import requests

    fault = {"kind": "slow", "seconds": SLOW, "times": None, "method": "POST", "path": "/Messages$"}
    requests.post(f"{url}/_emulator/faults", json=fault, timeout=60).raise_for_status()
    return operator(url)


def run(times: int = 3) -> dict[str, float]:
    """Measure, print, and return the lines for machines."""
    with emulator("--null-sink") as url:
        pair = paired(operator, floor, times, url)
        flat = paired(partial(operator, flat=True), floor, 1, url)
        asked = ledger_operations(url)
        waited = slow(url)
    chunks = COUNT / 10_000
    report(
        f"Bulk: {COUNT:,} recipients with three variables, to the emulator's null sink",
        f"CPU of the client process, peak RSS over the start; {times} pairs, the median of their ratios",
        {
            "floor (lists of 10,000, msgspec, requests)": _cost(pair.floor),
            "operator, Twilio's form": f"{_cost(pair.ours)}  ratio {pair.cpu_ratio:.2f} (aim 1.5)",
            "Airflow's state store": f"{asked.chunks / chunks:.2f} operations a chunk (aim 2), "
            f"{asked.sends} a send (aim 4)",
            f"operator, {SLOW:g} s a request": f"{_cost([waited])}  (aim: 30 s of wall time)",
            "operator, flat rows (one pair)": f"{_cost(flat.ours)}  ratio {flat.cpu_ratio:.2f} (no aim)",
        },
    )
    return {
        "bulk_cpu_ratio": round(pair.cpu_ratio, 3),
        "bulk_peak_mib": round(pair.peak_mib, 1),
        "ledger_ops_per_chunk": round(asked.chunks / chunks, 2),
        "bulk_wall_1s_s": round(waited.wall, 1),
    }


def _cost(costs: list[Cost]) -> str:
    best = min(costs, key=lambda cost: cost.cpu)
    peak = max(cost.peak_mib for cost in costs)
    return f"{best.cpu:6.2f} s CPU {best.wall:6.2f} s wall {peak:6.1f} MiB"
