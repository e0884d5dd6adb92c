"""A large campaign's receipts back: from the emulator to a real PostgreSQL, or to Parquet without one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import requests

from tests.bench.measure import Cost, emulator, measured, paired, report
from tests.postgres import installed, postgres_running

__all__ = ["run"]

COUNT = 1_000_000
FAILED = [f"+1{area}555{end}" for end in (9003, 9005, 9007, 9008, 9610) for area in range(200, 1000)]


def people(count: int) -> Iterator[str]:
    """Of a million, four thousand whom a message does not reach."""
    yield from FAILED
    for n in range(count - len(FAILED)):
        yield f"+1555{n:07d}"


def connections(url: str, port: int | None) -> None:
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


def floor(url: str, ids: list[str], port: int | None) -> Cost:
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


def receipts(url: str, ids: list[str], port: int | None) -> Cost:
    """The operator; the table is made anew each time."""
    from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
    from tests.fakes import context

    connections(url, port)
    with tempfile.TemporaryDirectory() as folder:
        place: dict[str, Any] = {"output_path": str(Path(folder) / "receipts.parquet")}
        if port is not None:
            place = {"sql_conn_id": "warehouse", "table": f"receipts_{os.getpid()}", "create_table": True}
        task = partial(TwilioReceiptsOperator, task_id="receipts", redact="numbers", **place)
        task(operation_ids=ids[:1], max_reasons=10).execute(context())
        found: dict[str, Any] = {}
        cost = measured(lambda: found.update(task(operation_ids=ids).execute(context())))
    assert found["rows"] == COUNT
    assert sum(found["codes"].values()) == len(FAILED)
    return cost


def run() -> dict[str, float]:
    """Measure, print, and return the line for machines."""
    with ExitStack() as stack:
        url = stack.enter_context(emulator("--pace", "0"))
        ids = send(url, COUNT)
        port = stack.enter_context(postgres_running()).port if installed() is not None else None
        pair = paired(receipts, floor, 1, url, ids, port)
    ours = pair.ours[0]
    report(
        f"Receipts: {COUNT:,} in {len(ids)} operations, {len(FAILED):,} of them failed, from the emulator",
        f"CPU of the client process, peak RSS over the start; {requests_of(ids):,} requests: one for each "
        "operation, page of 1,000 and reason",
        {
            "bare lists, decoded and dropped": _cost(pair.floor[0]),
            f"TwilioReceiptsOperator, to {'Parquet' if port is None else 'PostgreSQL'}": _cost(ours),
        },
    )
    return {
        "receipts_rows_per_s": round(COUNT / ours.wall),
        "receipts_peak_mib": round(pair.peak_mib, 1),
    }


def requests_of(ids: list[str]) -> int:
    return len(ids) + COUNT // 1000 + len(FAILED)


def _cost(cost: Cost) -> str:
    rows = f"{COUNT / cost.wall:9,.0f} rows/s"
    return f"{cost.cpu:6.2f} s CPU {cost.wall:6.2f} s wall {cost.peak_mib:6.1f} MiB {rows}"
