"""A million recipients: the operator beside the least that could be done."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from tests.bench.measure import Cost, emulator, measured, paired, report

__all__ = ["run"]

COUNT = 1_000_000
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


def operator(url: str, flat: bool = False) -> Cost:
    """The operator, with the same generator or with rows."""
    from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
    from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
    from tests.fakes import MemoryStore, context

    os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"] = json.dumps(
        {
            "conn_type": "twilio",
            "login": ACCOUNT_SID,
            "password": AUTH_TOKEN,
            "extra": {"base_url": f"{url}/{{product}}"},
        }
    )

    def send(source: Iterator[Any]) -> None:
        task = TwilioBulkMessageOperator(
            task_id="send", recipients=source, content=CONTENT, sender=SENDER, wait_for="accepted"
        )
        task.execute(context(MemoryStore(), run_id=str(id(source))))

    send(recipients(10))  # imports and the connection are not the send's cost
    return measured(lambda: send(rows() if flat else recipients()))


def run(times: int = 3) -> dict[str, float]:
    """Measure, print, and return the lines for machines."""
    with emulator("--null-sink") as url:
        pair = paired(operator, floor, times, url)
        flat = paired(partial(operator, flat=True), floor, 1, url)
    report(
        f"Bulk: {COUNT:,} recipients with three variables, to the emulator's null sink",
        f"CPU of the client process, peak RSS over the start; {times} pairs, the median of their ratios",
        {
            "floor (lists of 10,000, msgspec, requests)": _cost(pair.floor),
            "operator, Twilio's form": f"{_cost(pair.ours)}  ratio {pair.cpu_ratio:.2f} (aim 1.5)",
            "operator, flat rows (one pair)": f"{_cost(flat.ours)}  ratio {flat.cpu_ratio:.2f} (no aim)",
        },
    )
    return {"bulk_cpu_ratio": round(pair.cpu_ratio, 3), "bulk_peak_mib": round(pair.peak_mib, 1)}


def _cost(costs: list[Cost]) -> str:
    best = min(costs, key=lambda cost: cost.cpu)
    peak = max(cost.peak_mib for cost in costs)
    return f"{best.cpu:6.2f} s CPU {best.wall:6.2f} s wall {peak:6.1f} MiB"
