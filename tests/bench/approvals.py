"""Open approvals and a flood of inbound messages: how long the triggerer's event loop is held up."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import time
import uuid
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from types import SimpleNamespace
from typing import Any

import requests

from tests.bench.measure import emulator, report
from tests.bench.waits import connection, control, sampled

__all__ = ["run"]

APPROVALS = 50
MESSAGES = 20_000
INTERVAL = 10.0  # seconds between polls
WATCHED = 60.0  # seconds
OURS, ADA = "+15005550006", "+12025550101"


@dataclass(frozen=True)
class Cost:
    """Measure so many approvals: lags in seconds, pages of the message list, texts judged."""

    lags: list[float]
    pages: int
    judged: int
    answered: int


def asked() -> list[tuple[Any, str]]:
    """Open questions: a trigger and the right answer for each."""
    from airflow_provider_twilio_comms._core.approvals import key_of, open_ballot, text_of
    from airflow_provider_twilio_comms.api.classic import messages
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
    from airflow_provider_twilio_comms.triggers.replies import TwilioReplyTrigger

    hook, opened, found = TwilioHook(), time.time(), []
    for number in range(APPROVALS):
        ballot, code = open_ballot(
            key_of(hook.config), f"q{number}", ["YES", "NO"], [ADA], 4, opened, opened + 3600
        )
        sid = hook.run(messages.send(ADA, from_=OURS, body=text_of("?", ballot.options, code))).sid
        trigger = TwilioReplyTrigger(
            str(uuid.UUID(int=number)),
            list(ballot.options),
            ballot.salt,
            ballot.code_hash,
            list(ballot.voter_hashes),
            [sid],
            opened,
            ballot.deadline,
            poll_interval=INTERVAL,
            code_digits=ballot.digits,
        )
        found.append((trigger, f"YES {code}"))
    return found


def write(url: str, count: int, first: int = 0) -> None:
    """Let people write: every tenth text has the form of an answer."""
    local = threading.local()

    def one(number: int) -> None:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        sender = f"+1202{number % 9_000_000 + 1_000_000}"
        body = f"YES {number % 10_000:04}" if number % 10 == 0 else f"On my way, {number} min"
        arrival = {"from": sender, "to": OURS, "body": body}
        local.session.post(f"{url}/_emulator/inbound", json=arrival, timeout=60).raise_for_status()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(first, first + count)))


def measured(url: str) -> Cost:
    """Hold the approvals open in one triggerer, by its own shared streams, while messages come in."""
    from airflow.sdk.execution_time import task_runner

    os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"] = json.dumps(connection(url))
    quiet = SimpleNamespace(response_received=False, chosen_options=None, responded_by_user=None)
    task_runner.SUPERVISOR_COMMS = SimpleNamespace(send=lambda msg: quiet)  # type: ignore[assignment]
    questions = asked()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as writer:
        writer.submit(write, url, MESSAGES).result()
        return asyncio.run(_measured(url, questions, writer))


async def _measured(url: str, questions: list[tuple[Any, str]], writer: ProcessPoolExecutor) -> Cost:
    from airflow.triggers.shared_stream import SharedStreamManager

    streams = SharedStreamManager(log=_Silent())
    events: list[Any] = []

    async def wait(number: int, trigger: Any) -> None:
        key = trigger.shared_stream_key()
        stream = streams.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                events.append(event)
        finally:
            await streams.unsubscribe(number, key)

    async with sampled() as lags:
        tasks = [asyncio.create_task(wait(n, trigger)) for n, (trigger, _) in enumerate(questions, 1)]
        await asyncio.sleep(WATCHED / 2)
        await asyncio.get_running_loop().run_in_executor(writer, write, url, 500, MESSAGES)
        await asyncio.sleep(WATCHED / 2)
        counts = await asyncio.to_thread(control, url, "GET", "requests")
        body = questions[0][1]
        answer = {"from": ADA, "to": OURS, "body": body}
        await asyncio.to_thread(control, url, "POST", "inbound", answer)
        await asyncio.sleep(INTERVAL + 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await streams.stop_all()
    pages = sum(
        count for route, count in counts["counts"].items() if re.search(r"GET .*/Messages\.json", route)
    )
    judged = sum(sum(trigger._tally.kinds.values()) for trigger, _ in questions)
    return Cost(sorted(lags), pages, judged, len(events))


class _Silent:
    def __getattr__(self, name: str) -> Any:
        async def nothing(*_: Any, **__: Any) -> None: ...

        return nothing if name.startswith("a") else lambda *_, **__: None


def run() -> dict[str, float]:
    """Measure, print, and return the lines for machines."""
    with emulator() as url, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        cost = pool.submit(measured, url).result()
    p50, p99 = (cost.lags[int(len(cost.lags) * share)] * 1000 for share in (0.5, 0.99))
    rounds = (WATCHED + INTERVAL) / INTERVAL
    report(
        f"Approvals: {APPROVALS} open, {MESSAGES:,} inbound messages since they were asked",
        f"one event loop, polls every {INTERVAL:g} s for {WATCHED:g} s, the emulator in a process of its own",
        {
            "event loop": f"lag p50 {p50:.1f} p99 {p99:.1f} max {cost.lags[-1] * 1000:.1f} ms",
            "message list": f"{cost.pages} pages, {cost.pages / rounds:.1f} a round",
            "replies judged": f"{cost.judged:,}, each once by each approval",
            "answered in the end": f"{cost.answered}",
        },
    )
    return {"approvals_loop_lag_p99_ms": round(p99, 1)}
