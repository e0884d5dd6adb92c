"""Waiting for 100,000 messages of a classic bulk send in a triggerer: requests, CPU and memory of a round."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from tests.bench.measure import Cost, measured, report
from tests.conftest import environment

__all__ = ["run"]

COUNT = 100_000
LASTS = 25.0  # seconds: a few rounds, of which one takes several
INTERVAL = 1.0  # seconds between two rounds, at least


def waited(url: str, connection: str, sent: dict[str, Any]) -> Cost:
    """Wait until time is up, since the last message gets no receipt."""
    from airflow_provider_twilio_comms.triggers.messages import TwilioSentMessagesTrigger

    async def wait(deadline: float) -> None:
        trigger = TwilioSentMessagesTrigger(
            sent, "twilio_default", until="delivered", deadline=deadline, poll_interval=INTERVAL
        )
        async for event in trigger.run():
            tally = event.payload["tally"]
            assert (tally["found"], tally["exact"], tally["stats"]["sent"]) == (COUNT, True, 1)

    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=connection):
        return measured(lambda: asyncio.run(wait(time.time() + LASTS)))


def run() -> dict[str, float]:
    """Measure, print, and return the line for machines."""
    from airflow_provider_twilio_comms.emulator.server import running

    with running(pace=0) as emulator:
        sent = _sent(emulator)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            cost = pool.submit(waited, emulator.url, emulator.connection, sent).result()
        pages = [dict(entry["query"]) for entry in emulator.twilio.journal.recent]
        requests = len(pages)
    rounds = sum("PageToken" not in page for page in pages)
    costs = (
        f"{cost.cpu / rounds:6.2f} s CPU {cost.wall / rounds:6.2f} s wall {cost.peak_mib:6.1f} MiB "
        f"{requests / rounds:6.1f} requests"
    )
    report(
        f"Waiting for {COUNT:,} messages of a classic bulk send in a triggerer, {rounds} rounds",
        f"CPU of the client process, peak RSS over the start; {requests:,} requests, and the trigger's "
        f"arguments are {len(json.dumps(sent)):,} bytes",
        {"TwilioSentMessagesTrigger, a round": costs},
    )
    return {"classic_waits_requests_per_round": round(requests / rounds, 1)}


def _sent(emulator: Any) -> dict[str, Any]:
    """Add the messages of one send, the last without a receipt, among others of the account."""
    from tests.classic_sends import SERVICE, add_messages, describe

    add_messages(emulator, 2_000, prefix="+1202554")
    sids = add_messages(emulator, COUNT - 1, prefix="+1202556", service=SERVICE)
    sids += add_messages(emulator, 1, to="+12025559000", service=SERVICE)
    add_messages(emulator, 2_000, prefix="+1202554")
    return describe(emulator, sids)
