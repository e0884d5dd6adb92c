"""``python -m tests.chaos``: break things while messages are sent, and count who got them.

A run is one send, by the bulk operator through either API or by the single one, to a few people of its own,
in three requests or batches. It is broken in one way, seeded and repeatable as far as processes can be; in
many runs the list, the clock or what is cleared changes between the kill and the retry. When the faults are
over, what is red is settled as a person would do it, and cleared: a send that ended in ``SendUncertain``
is compared with Twilio, and cleared with ``on_unknown="resend"`` only where the named part certainly is not
there; after ``RecipientsChanged`` the list is given back as it was; numbers that Twilio refuses are taken
out. Then, by the emulator's own ledger, everybody of the plan that was completed has to have
been texted once, and nobody of any list twice.
"""

from __future__ import annotations

import argparse
import queue
import random
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from airflow_provider_twilio_comms.emulator.credentials import AUTH_TOKEN
from tests.chaos.edits import EDITS
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.field import Field, field
from tests.chaos.report import failed, table, verdict
from tests.chaos.rounds import ROUNDS, Round
from tests.chaos.run import Kind, Result, Run
from tests.stack.leaks import leaks

KINDS: tuple[Kind, ...] = ("bulk", "single", "classic")
RUNS = 320
EVER = 20  # people whom the lists of a run may name


class Chaos:
    """All runs, in an order that the seed decides: first those with faults of their own, then the rounds."""

    def __init__(
        self, field: Field, seed: int, runs: int, lanes: int, only: str, brief: bool, kind: Kind | None = None
    ) -> None:
        self.field, self.seed, self.lanes, self.brief = field, seed, lanes, brief
        self.kinds = KINDS if kind is None else (kind,)
        rng = random.Random(seed)
        turns = [*FAULTS, *EDITS] if brief else [*FAULTS, *EDITS, *EDITS]
        faults = [fault for fault in turns if only in fault.name and (fault.brief or not brief)]
        self.rounds = [part for part in ROUNDS if only in part.name and (part.brief or not brief)]
        together = lanes * len(self.rounds)
        runs = runs or (len(faults) + together if brief else RUNS)
        singly = max(0, runs - together) if faults else 0
        self.singly = [faults[index % len(faults)] for index in range(singly)]
        rng.shuffle(self.singly)
        self.count = len(self.singly) + lanes * len(self.rounds)
        self.results: list[Result] = []

    def everything(self) -> list[Result]:
        free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for lane in range(self.lanes):
            free.put(lane)

        def alone(number: int, fault: Fault) -> Result:
            lane = free.get()
            try:
                run = self.run(number, fault.name, lane, fault.kind)
                return carried_out(run, lambda: fault.script(run))
            finally:
                free.put(lane)

        with ThreadPoolExecutor(self.lanes) as pool:
            tasks = [pool.submit(alone, number, fault) for number, fault in enumerate(self.singly)]
            for task in as_completed(tasks):
                self.told(task.result())
            for index, part in enumerate(self.rounds):
                self.together(pool, part, len(self.singly) + index * self.lanes)
        return self.results

    def together(self, pool: ThreadPoolExecutor, part: Round, first: int) -> None:
        runs = [self.run(first + lane, part.name, lane) for lane in range(self.lanes)]
        for run in runs:
            part.prepare(run)
            run.start()
        part.deed(self.field, runs, random.Random(f"{self.seed} {first}"))
        for task in as_completed([pool.submit(run.finish) for run in runs]):
            self.told(task.result())

    def run(self, number: int, fault: str, lane: int, kind: Kind | None = None) -> Run:
        rng = random.Random(f"{self.seed} {number}")
        either = rng.choice(self.kinds)
        return Run(self.field, fault, kind or either, number, lane, rng, self.brief)

    def told(self, result: Result) -> None:
        self.results.append(result)
        notes = ["uncertain"] * result.uncertain + ["given back"] * bool(result.changed)
        notes += [f"cleared {result.clears} times"] * bool(result.clears)
        print(
            f"{len(self.results):>4}/{self.count}  {result.name}  {result.fault}: {result.once} once, "
            f"{result.seconds:.0f} s {' '.join(notes)}",
            flush=True,
        )
        if failed(result):
            why = "; ".join(filter(None, [result.wrong_colour, result.trouble]))
            print(f"      FAILED: {result.twice} twice, {result.lost} lost. {why}", flush=True)


def carried_out(run: Run, script: Callable[[], None]) -> Result:
    """Break a run, and see it to its end whatever the breaking came to."""
    trouble = ""
    try:
        script()
    except Exception as error:  # the run is still to be counted
        trouble = f"{type(error).__name__}: {error}"
    result = run.finish()
    result.trouble = "; ".join(filter(None, [trouble, result.trouble]))
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="that of another time")
    parser.add_argument("--runs", type=int, default=0, help=f"how many (default: {RUNS}; short: each once)")
    parser.add_argument("--short", action="store_true", help="the worst faults only, once each, and smaller")
    parser.add_argument("--lanes", type=int, default=0, help="how many at a time (default: 8, short: 4)")
    parser.add_argument("--only", default="", help="faults with this in their name")
    parser.add_argument("--kind", choices=KINDS, help="sends of this kind only")
    parser.add_argument("--home", type=Path, help="keep Airflow's files there")
    parser.add_argument("--sqlite", action="store_true", help="not on PostgreSQL, though there is one")
    given = parser.parse_args(arguments)
    lanes = given.lanes or (4 if given.short else 8)
    print(f"chaos: seed {given.seed}, {lanes} runs at a time", flush=True)
    began = time.monotonic()
    with field(lanes, given.home, given.sqlite) as battle:
        chaos = Chaos(battle, given.seed, given.runs, lanes, given.only, given.short, given.kind)
        results = chaos.everything()
        people = [f"+1202{run:04d}{person:03d}" for run in range(chaos.count) for person in range(EVER)]
        texts = [f"It is run {run}." for run in range(chaos.count)]
        leaked = leaks(battle.stack, [*people, *texts, AUTH_TOKEN])
    print(f"\nBroken in {time.monotonic() - began:.0f} s, seed {given.seed}:\n")
    print(table(results, [part.name for part in (*FAULTS, *EDITS, *ROUNDS)]))
    for leak in leaked[:10]:
        print(f"leaked into {leak.where}: {leak.context!r}")
    print(verdict(results), flush=True)
    return int(any(map(failed, results)) or bool(leaked))


if __name__ == "__main__":
    sys.exit(main())
