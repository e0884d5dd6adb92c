"""A hundred thousand personalised messages through the classic API: the operator beside bare aiohttp, and
beside the official helper library in a loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from airflow_provider_twilio_comms._core.sending.ledger import HEADS
from tests.bench.bulk import CONTENT, SENDER, CountingStore, rows
from tests.bench.measure import Cost, emulator, measured, paired, report
from tests.fakes import MemoryStore

__all__ = ["run"]

COUNT = 100_000
AT_ONCE = 100
LATENCY = 0.05  # seconds
LOOPED, TOGETHER = 100, 10_000  # messages of the official library, and of the operator, at that latency
OFFICIAL = "twilio==9.13.0"


def bodies(count: int) -> list[bytes]:
    """The forms of everybody's messages, with their own texts."""
    return [
        urlencode(
            {
                "From": SENDER,
                "To": row["phone"],
                "Body": f"Hello {row['name']}, your order {row['order']} comes on {row['day']}.",
            }
        ).encode()
        for row in rows(count)
    ]


def floor(url: str, count: int = COUNT) -> Cost:
    """The bodies posted over aiohttp, as many at a time, and the replies read."""
    import asyncio

    import aiohttp

    from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

    waiting = iter(bodies(count))
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": aiohttp.BasicAuth(ACCOUNT_SID, AUTH_TOKEN).encode(),
    }
    address = f"{url}/api/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"

    async def post(session: aiohttp.ClientSession) -> None:
        for body in waiting:
            async with session.post(address, data=body, headers=headers) as reply:
                assert reply.status == 201
                await reply.read()

    async def all_of_them() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(post(session) for _ in range(AT_ONCE)))

    return measured(lambda: asyncio.run(all_of_them()))


def operator(url: str, count: int = COUNT, store: MemoryStore | None = None) -> Cost:
    """The operator, with rows of a table."""
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
            task_id="send",
            generation="classic",
            recipients=source,
            number_column="phone",
            content=CONTENT,
            sender=SENDER,
            messages_per_second="unlimited",
            requests_at_once=AT_ONCE,
            wait_for="accepted",
        )
        task.execute(context(store, run_id=str(id(source))))

    send(rows(10), MemoryStore())  # imports and the connection are not the send's cost
    return measured(lambda: send(rows(count), store or MemoryStore()))


def writes(url: str, count: int = 10_000) -> float:
    """Writes to Airflow's store for a thousand messages."""
    store = CountingStore()
    operator(url, count, store)
    return sum(key != HEADS for key in store.values) * 2 * 1000 / count


def official(url: str) -> float | None:
    """Messages a second of the official helper library in a loop; None where it cannot be installed."""
    place = Path(__file__).parents[2] / "build" / "official"
    if not (place / "done").exists():
        commands = [
            [sys.executable, "-m", "venv", str(place)],
            [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", OFFICIAL],
        ]
        for command in commands:
            if subprocess.run(command, check=False, timeout=600).returncode:
                return None
        (place / "done").touch()
    from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

    code = _LOOP.format(url=url, sender=SENDER, count=LOOPED, account=ACCOUNT_SID, token=AUTH_TOKEN)
    done = subprocess.run(
        [str(place / "bin" / "python"), "-c", code], check=True, capture_output=True, text=True, timeout=600
    )
    return LOOPED / float(done.stdout)


_LOOP = """
import time
from urllib.parse import urlsplit
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

class Here(TwilioHttpClient):
    def request(self, method, url, *args, **kwargs):
        return super().request(method, "{url}/api" + urlsplit(url).path, *args, **kwargs)

client = Client("{account}", "{token}", http_client=Here())
def send(n):
    client.messages.create(to="+1555%07d" % n, from_="{sender}", body="Hello Person %d" % n)
send(0)
began = time.perf_counter()
for n in range({count}):
    send(n)
print(time.perf_counter() - began)
"""


def run(times: int = 3) -> dict[str, float]:
    """Measure, print, and return the lines for machines."""
    with emulator("--null-sink") as url:
        pair = paired(operator, floor, times, url)
        per_thousand = writes(url)
    with emulator("--null-sink", "--reply-delay", str(LATENCY)) as url:
        together = paired(partial(operator, count=TOGETHER), partial(floor, count=TOGETHER), 1, url)
        looped = official(url)
    ours = TOGETHER / min(cost.wall for cost in together.ours)
    report(
        f"Classic: {COUNT:,} personalised messages, {AT_ONCE} at once, to the emulator's null sink",
        f"CPU of the client process, peak RSS over the start; {times} pairs, the median of their ratios",
        {
            "floor (the same bodies over aiohttp)": _cost(pair.floor),
            "operator": f"{_cost(pair.ours)}  ratio {pair.cpu_ratio:.2f} (aim 1.5), 64 MiB at most",
            "Airflow's state store": f"{per_thousand:.0f} writes for 1,000 messages",
            f"operator at {LATENCY * 1000:.0f} ms": f"{ours:,.0f} messages a second",
            f"{OFFICIAL} in a loop": f"{looped:,.1f} messages a second" if looped else "cannot be installed",
        },
    )
    lines = {
        "classic_cpu_ratio": round(pair.cpu_ratio, 3),
        "classic_peak_mib": round(pair.peak_mib, 1),
        "classic_writes_per_1000": round(per_thousand, 1),
    }
    return {**lines, "classic_vs_official_ratio": round(ours / looped, 1)} if looped else lines


def _cost(costs: list[Cost]) -> str:
    best = min(costs, key=lambda cost: cost.cpu)
    peak = max(cost.peak_mib for cost in costs)
    return f"{best.cpu:6.2f} s CPU {best.wall:6.2f} s wall {peak:6.1f} MiB"
