"""Waiting for 1 to 10,000 operations in one triggerer: our trigger beside one naive poll loop each."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import re
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import requests

from tests.bench.measure import emulator, report

__all__ = ["run"]

SIZES = (1, 100, 1_000, 10_000)
INTERVAL = 5.0  # seconds between polls
WINDOW = 30.0  # seconds in which the operations finish, at random times
DELAY = 0.05  # seconds that the emulator takes for every reply
SOON = 3.0  # seconds until the first one may finish, once all are made
PACE = 0.5  # seconds from an operation's start to its end
AGES = 6 * 24 * 3600.0  # seconds over which the ages of old operations are spread; Twilio keeps seven days
BATCHES = 100  # of old operations, each of one age


@dataclass(frozen=True)
class Waits:
    """Cost of so many waits. Times in seconds, memory in KiB for each wait."""

    requests: int
    seconds: float
    lag_p50: float
    lag_p99: float
    kib_each: float
    late_p50: float
    late_max: float
    unfinished: int

    @property
    def per_round(self) -> float:
        return self.requests / (self.seconds / INTERVAL)


def prepared(url: str, count: int, ages: float = 0.0) -> list[tuple[str, float]]:
    """Operations that finish at random times within the window: their ids, and when, by Twilio's clock.

    They were made up to ``ages`` seconds ago, in a process of their own: the memory that making them leaves
    free would be what the waits take.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_prepared, url, count, ages).result()


def _prepared(url: str, count: int, ages: float) -> list[tuple[str, float]]:
    from airflow_provider_twilio_comms.api.comms import messages
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

    control(url, "POST", "reset")
    control(url, "POST", "options", {"reply_delay": 0, "pace": PACE})
    ready = 30.0 + count / 50  # more than making them takes, so that none has finished before
    first = datetime.fromtimestamp(twilios_time(url) + ages + ready, timezone.utc)
    chance = random.Random(count)
    whens = [first + timedelta(seconds=round(chance.uniform(0, WINDOW))) for _ in range(count)]

    async def make() -> list[str]:
        limit = asyncio.Semaphore(32)

        async def one(number: int, when: datetime) -> str:
            to = [{"address": f"+1202{number:07d}", "channel": "PHONE"}]
            async with limit:
                accepted = await client.run(messages.send(to, "Hi", sender="+15005550006", send_at=when))
            return str(accepted.operation_id)

        made: list[str] = []
        batch = -(-count // BATCHES) if ages else count
        async with TwilioHook().connected() as client:
            while len(made) < count:
                some = range(len(made), min(len(made) + batch, count))
                made += await asyncio.gather(*(one(number, whens[number]) for number in some))
                if ages:
                    control(url, "POST", "clock", {"advance": ages * len(some) / count})
        return made

    names = asyncio.run(make())
    return [(name, when.timestamp() + PACE) for name, when in zip(names, whens, strict=True)]


def approach(url: str, names: list[tuple[str, float]]) -> None:
    """Move Twilio's clock on to shortly before the first of them finishes, and slow its replies down."""
    early = min(finish for _, finish in names) - PACE - twilios_time(url) - SOON
    if early > 0:
        control(url, "POST", "clock", {"advance": early})
    control(url, "POST", "options", {"reply_delay": DELAY})


def ours(url: str, count: int, ages: float = 0.0) -> Waits:
    """Our trigger, as the triggerer runs it."""
    from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger

    async def wait(name: str, now: float) -> None:
        own = name.encode().decode()  # as each trigger has it from Airflow's database
        trigger = TwilioOperationsTrigger(
            [own], "twilio_default", "delivered", time.time() + 3600, now, None, INTERVAL
        )
        async for _ in trigger.run():
            return

    return measured(url, count, wait, ages)


def ours_old(url: str, count: int) -> Waits:
    """The same, on operations of any age that Twilio still knows."""
    return ours(url, count, AGES)


def naive(url: str, count: int) -> Waits:
    """One loop each: ask, sleep, ask; over one shared session, which is kinder than most."""
    from airflow_provider_twilio_comms.api.comms import operations
    from airflow_provider_twilio_comms.exceptions import TwilioError
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

    hook = TwilioHook()

    async def wait(name: str, now: float) -> None:
        async with hook.connected() as client:
            while True:
                try:
                    if (await client.run(operations.fetch(name))).done:
                        return
                except TwilioError:
                    pass
                await asyncio.sleep(INTERVAL)

    return measured(url, count, wait)


def measured(url: str, count: int, wait: Callable[[str, float], Awaitable[None]], ages: float = 0.0) -> Waits:
    """Run so many waits at once on one loop. Each is given its operation, and the time by Twilio's clock."""
    os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"] = json.dumps(connection(url))
    empty = idle(count)  # first, so that nothing finishes meanwhile
    names = prepared(url, count, ages)
    return asyncio.run(_measured(url, names, wait, empty))


async def _measured(
    url: str, names: list[tuple[str, float]], wait: Callable[[str, float], Awaitable[None]], empty: float
) -> Waits:
    lates: list[float] = []
    await warm_up(names[0][0], wait)
    approach(url, names)
    ahead = twilios_time(url) - time.time()
    names = [(name, finish - ahead) for name, finish in names]

    async def one(name: str, finish: float) -> None:
        await wait(name, time.time() + ahead)
        lates.append(time.time() - finish)

    before, asked = rss(), asked_of(url)
    began = time.time()
    async with sampled() as lags:
        tasks = [asyncio.create_task(one(name, finish)) for name, finish in names]
        end = max(finish for _, finish in names)
        await asyncio.sleep(2 * INTERVAL)
        full = rss()
        _, pending = await asyncio.wait(tasks, timeout=max(1.0, end + 4 * INTERVAL - time.time()))
        for task in pending:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    lags, lates = sorted(lags), sorted(lates) or [float("nan")]
    return Waits(
        requests=await asyncio.to_thread(asked_of, url) - asked,
        seconds=time.time() - began,
        lag_p50=lags[len(lags) // 2],
        lag_p99=lags[int(len(lags) * 0.99)],
        kib_each=max(0.0, full - before - empty) / len(names),
        late_p50=lates[len(lates) // 2],
        late_max=lates[-1],
        unfinished=len(pending),
    )


async def warm_up(name: str, wait: Callable[[str, float], Awaitable[None]]) -> None:
    """Wait for one of them for a while: what is imported once is no part of any wait."""
    task = asyncio.ensure_future(wait(name, time.time()))
    await asyncio.sleep(2.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def sampled() -> AsyncIterator[list[float]]:
    """Sample how late the event loop is, a hundred times a second."""
    lags: list[float] = []

    async def sample() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.01)
            lags.append(time.perf_counter() - began - 0.01)

    task = asyncio.create_task(sample())
    try:
        yield lags
    finally:
        task.cancel()


def idle(count: int) -> float:
    """KiB that as many triggers of Airflow's take that do nothing but sleep."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_idle, count).result()


def _idle(count: int) -> float:
    from airflow.triggers.base import BaseTrigger

    class Sleeper(BaseTrigger):
        def serialize(self) -> tuple[str, dict[str, Any]]:
            return "", {}

        async def run(self) -> AsyncIterator[Any]:
            await asyncio.sleep(3600)
            yield

    async def wait() -> None:
        async for _ in Sleeper().run():
            return

    async def sleep() -> float:
        before = rss()
        tasks = [asyncio.create_task(wait()) for _ in range(count)]
        await asyncio.sleep(0.5)
        grown = rss() - before
        for task in tasks:
            task.cancel()
        return grown

    return asyncio.run(sleep())


def churned(url: str, waits: int = 36_000, at_once: int = 300) -> float:
    """KiB by which the process grows while as many waits come and go as in a busy hour."""
    from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger

    os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"] = json.dumps(connection(url))
    made = prepared(url, 100)
    approach(url, made)
    names = [name for name, _ in made]

    async def wait() -> None:
        trigger = TwilioOperationsTrigger(
            [random.choice(names)],
            "twilio_default",
            "processed",
            time.time() + random.uniform(0, 0.4),
            0.0,
            None,
            0.2,
        )
        async for _ in trigger.run():
            return

    async def churn() -> float:
        left, sizes = waits, []
        pending: set[asyncio.Task[None]] = set()
        while left or pending:
            while left and len(pending) < at_once:
                pending.add(asyncio.create_task(wait()))
                left -= 1
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if left in (waits // 4 * 3, 0) and len(sizes) < (1 if left else 2):
                gc.collect()
                sizes.append(rss())
        gc.collect()
        return rss() - sizes[0]

    return asyncio.run(churn())


def rss() -> float:
    """KiB of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024


def connection(url: str) -> dict[str, Any]:
    from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

    extra = {"base_url": f"{url}/{{product}}"}
    return {"conn_type": "twilio", "login": ACCOUNT_SID, "password": AUTH_TOKEN, "extra": extra}


def control(url: str, method: str, what: str, body: Any = None) -> Any:
    return requests.request(method, f"{url}/_emulator/{what}", json=body, timeout=30).json()


def twilios_time(url: str) -> float:
    """Seconds since 1970, by the emulator's clock."""
    return float(control(url, "GET", "health")["now"])


def asked_of(url: str) -> int:
    counts = control(url, "GET", "requests")["counts"]
    return sum(count for route, count in counts.items() if re.search(r"GET .*/Operations", route))


def run() -> dict[str, float]:
    """Measure, print, and return the lines for machines."""
    rows: dict[str, str] = {}
    found: dict[Any, Waits] = {}
    with emulator() as url:
        for size in SIZES:
            works = [("naive loops", naive), ("ours", ours)]
            if size == SIZES[-1]:
                works.append(("ours, up to six days old", ours_old))
            for name, work in works:
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    last = found[work] = pool.submit(work, url, size).result()
                rows[f"{size:>6,} waits, {name}"] = (
                    f"{last.requests / last.seconds * 60:9,.0f} requests/min {last.per_round:8.1f} a round  "
                    f"lag p50 {last.lag_p50 * 1000:5.1f} p99 {last.lag_p99 * 1000:6.1f} ms  "
                    f"{last.kib_each:5.1f} KiB each  "
                    f"event after p50 {last.late_p50:4.1f} max {last.late_max:5.1f} s"
                    + (f"  {last.unfinished:,} unfinished" if last.unfinished else "")
                )
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            growth = pool.submit(churned, url).result()
    rows["36,000 waits come and go, 300 at a time"] = f"grown by {growth:,.0f} KiB after the first quarter"
    report(
        f"Waits: one event loop, polls every {INTERVAL:g} s, replies after {DELAY * 1000:g} ms",
        f"operations finish at random within {WINDOW:g} s; memory over as many idle triggers of Airflow's",
        rows,
    )
    fresh, old = found[ours], found[ours_old]
    return {
        "waits_10000_requests_per_round": round(fresh.per_round, 1),
        "waits_10000_lag_p99_ms": round(fresh.lag_p99 * 1000, 1),
        "waits_10000_kib_each": round(fresh.kib_each, 1),
        "waits_old_10000_requests_per_round": round(old.per_round, 1),
        "waits_old_10000_lag_p99_ms": round(old.lag_p99 * 1000, 1),
        "waits_old_10000_kib_each": round(old.kib_each, 1),
    }
