"""The demo's campaign: run it, print its progress, and compare the emulator's counts with the list."""

from __future__ import annotations

import csv
import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_twilio_comms.demo.processes import StackFailed
from airflow_provider_twilio_comms.demo.stack import Stack

__all__ = ["DAGS", "Outcome", "read_numbers", "run"]

DAGS: dict[str, str] = {
    "comms": "twilio_bulk_campaign",
    "classic": "twilio_classic_campaign",
}  # by generation
_TASK = "send"
_COUNTERS = ("scheduled", "queued", "sent", "delivered", "read", "undelivered", "failed", "unaddressable")
_CHUNK = 10_000  # Twilio's own limit of recipients a request

# A number as people write it: a plus, digits, and separators. Deliberately not the package's own parser,
# since this is the independent count.
_WRITTEN = re.compile(r"\(?\+[\d ().-]+")


@dataclass(frozen=True)
class Outcome:
    """The result of a campaign. Everything but ``state`` and ``rejected`` comes from the emulator."""

    recipients: int
    rejected: int
    requests: int
    operations: int
    stats: Mapping[str, int]
    failures: Mapping[int | None, int]
    duplicates: int
    lost: int
    unlisted: int
    seconds: float
    state: str
    refused: int = 0  # by the classic API, at once

    @property
    def good(self) -> bool:
        return self.state == "success" and not (self.duplicates or self.lost or self.unlisted)

    def report(self) -> str:
        """Write a short report; its last line is for machines."""
        lines = [
            f"  recipients   {self.recipients:>7,}",
            f"  rejected     {self.rejected:>7,}   not a phone number, so not texted",
            f"  requests     {self.requests:>7,}",
            f"  operations   {self.operations:>7,}",
            *(f"  {name:<13}{self.stats[name]:>7,}" for name in _COUNTERS if self.stats.get(name)),
            *(f"               {count:>5,} {_why(code)}" for code, count in _by_count(self.failures)),
            *([f"  refused      {self.refused:>7,}   by Twilio at once"] if self.refused else []),
            f"  run          {self.state}, {self.seconds:.1f} s",
        ]
        if self.unlisted:
            lines.append(f"  {self.unlisted:,} people were texted who are not in the list")
        names = ("delivered", "undelivered", "failed", "unaddressable")
        counters = " ".join(f"{name}={self.stats.get(name, 0)}" for name in names)
        lines.append(
            f"demo: recipients={self.recipients} rejected={self.rejected} requests={self.requests} "
            f"operations={self.operations} {counters} duplicates={self.duplicates} lost={self.lost}"
        )
        return "\n".join(lines)


def _by_count(failures: Mapping[int | None, int]) -> list[tuple[int | None, int]]:
    return sorted(failures.items(), key=lambda item: -item[1])


def _why(code: int | None) -> str:
    return f"failed with Twilio's code {code}" if code else "cannot be reached by any sender (no code)"


def read_numbers(path: Path) -> tuple[int, set[str]]:
    """Read a list: the number of its rows, and the numbers in it that can be texted, as ``+`` and digits."""
    rows, numbers = 0, set()
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows += 1
            digits = re.sub(r"\D", "", row["phone"])
            if _WRITTEN.fullmatch(row["phone"]) and 7 <= len(digits) <= 15 and digits[0] != "0":
                numbers.add(f"+{digits}")
    return rows, numbers


def run(stack: Stack, recipients: Path, timeout: float = 600, generation: str = "comms") -> Outcome:
    """Trigger the campaign, print its progress until it ends, and compare the counts."""
    assert stack.emulator is not None
    dag_id = DAGS[generation]
    rows, expected = read_numbers(recipients)
    stack.airflow.wait_for_dag(dag_id)
    began = time.monotonic()
    run_id = stack.airflow.trigger(dag_id)
    print(f"triggered {dag_id}: {stack.url}/dags/{dag_id}/runs/{run_id}", flush=True)
    progress = (_ClassicProgress if generation == "classic" else _Progress)(stack, len(expected))
    state = _watch(stack, dag_id, run_id, progress, began + timeout)
    seconds = time.monotonic() - began
    ledger = stack.emulator.ledger()
    operations = stack.emulator.operations()
    requests = stack.emulator.sends()
    refused = requests - sum(ledger.values()) if generation == "classic" else 0
    stats = Counter(progress.stats())
    stats["failed"] += refused
    return Outcome(
        recipients=rows,
        rejected=_rejected(stack, dag_id, run_id),
        requests=requests,
        operations=len(operations),
        stats=stats,
        failures=stack.emulator.failures(),
        duplicates=sum(count - 1 for count in ledger.values()),
        lost=max(0, len(expected - ledger.keys()) - refused),
        unlisted=len(ledger.keys() - expected),
        seconds=seconds,
        state=state,
        refused=refused,
    )


def _rejected(stack: Stack, dag_id: str, run_id: str) -> int:
    result = stack.airflow.xcom(dag_id, run_id, _TASK)
    result = json.loads(result) if isinstance(result, str) else result
    return int((result or {}).get("rejected", 0))


def _watch(stack: Stack, dag_id: str, run_id: str, progress: _Progress, deadline: float) -> str:
    """Print a line at every change; return the run's final state."""
    began = time.monotonic()
    shown, logged = "", 0
    while True:
        state = str(stack.airflow.run(dag_id, run_id)["state"])
        task = stack.airflow.task(dag_id, run_id, _TASK)
        said = list(_log_lines(stack, dag_id, run_id, task))
        for line in said[logged:]:
            print(f"        | {line}", flush=True)
        logged = len(said)
        line = f"{_TASK} {task['state'] or 'waits for the scheduler'}{progress.line()}"
        if line != shown:
            shown = line
            print(f"{time.monotonic() - began:6.1f}s {line}", flush=True)
        if state in ("success", "failed"):
            return state
        if time.monotonic() > deadline:
            raise StackFailed(f"{dag_id} is still {state}; the last that moved: {shown}")
        time.sleep(1)


class _Progress:
    """The emulator's progress: requests accepted and their rate, then the operations' counters."""

    def __init__(self, stack: Stack, expected: int) -> None:
        assert stack.emulator is not None
        self._emulator = stack.emulator
        self._expected = expected
        self._texted, self._when, self._rate = 0, time.monotonic(), 0.0

    def line(self) -> str:
        texted, now = self._emulator.texted(), time.monotonic()
        if texted > self._texted:
            self._rate = (texted - self._texted) / (now - self._when)
        self._texted, self._when = texted, now
        return self._line(texted) if texted else ""

    def stats(self) -> Mapping[str, int]:
        """The counters of Twilio's operations."""
        return _summed(self._emulator.operations())

    def _line(self, texted: int) -> str:
        operations = self._emulator.operations()
        requests = f"request {len(operations)} of {-(-self._expected // _CHUNK)}"
        if texted < self._expected:
            return f"; {requests}, {texted:,} recipients, {self._rate:,.0f} a second"
        completed = sum(operation["status"] == "COMPLETED" for operation in operations)
        return f"; {requests}, {completed} completed: {_counted(_summed(operations))}"


class _ClassicProgress(_Progress):
    """The emulator's progress with single messages, which have no operation."""

    def stats(self) -> Mapping[str, int]:
        return self._emulator.statuses(
            "queued", "sending", "sent", "delivered", "read", "undelivered", "failed"
        )

    def _line(self, texted: int) -> str:
        return f"; {texted:,} messages, {self._rate:,.0f} a second: {_counted(self.stats())}"


def _counted(stats: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in stats.items() if count)


def _summed(operations: Iterable[Mapping[str, Any]]) -> Counter[str]:
    stats: Counter[str] = Counter()
    for operation in operations:
        stats.update(operation["stats"])
    return stats


def _log_lines(stack: Stack, dag_id: str, run_id: str, task: Mapping[str, Any]) -> Iterator[str]:
    """Read the package's own log lines of the task's latest try, in the worker and in the triggerer."""
    if not task["try_number"]:
        return
    for line in stack.airflow.log(dag_id, run_id, _TASK, task["try_number"]).splitlines():
        entry = json.loads(line)
        if "twilio" in str(entry.get("logger", "")):
            yield str(entry["event"])
