"""One run: sent while something breaks, mended afterwards, and counted on Twilio's side."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_twilio_comms.demo.processes import StackFailed, until
from airflow_provider_twilio_comms.demo.rest import RestFailed
from tests.chaos.field import Field, Patient, alive, hit, read

__all__ = ["Kind", "Result", "Run", "Trouble"]

Kind = Literal["bulk", "single"]
EACH = {"bulk": 2, "single": 1}  # people in a request
PARTS = 3
LONG = 240.0  # seconds that anything may take
MENDINGS = 4  # clears after which a run has to be through
_UNCERTAIN = re.compile(r"(?:chunk|message) (\d+) of \d+ (?:\([\d,]+ recipients\) )?was given to Twilio")


class Trouble(Exception):
    """What should not have happened."""


@dataclass
class Result:
    """How a run ended: recipients by how often they were texted, and what had to be done for it."""

    fault: str
    name: str
    once: int = 0
    twice: int = 0
    lost: int = 0
    uncertain: bool = False
    mended: int = 0
    seconds: float = 0.0
    trouble: str = ""


@dataclass
class Run:
    """A run on a Twilio of its own (``lane``), with random numbers of its own."""

    battle: Field
    fault: str
    kind: Kind
    number: int
    lane: int
    rng: random.Random
    brief: bool = False
    conf: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    began: float = 0.0

    def __post_init__(self) -> None:
        self.dag_id = f"chaos_{self.kind}"
        self.people = PARTS * EACH[self.kind]
        self.name = f"{self.number:04d}-{self.kind}"
        self.twilio = self.battle.twilios.each[self.lane]
        self.airflow: Patient = self.battle.airflow()
        self.part = self.rng.randrange(PARTS)  # where it breaks
        self.options = {"unknown_after": 6.0}
        self.twilio.control("DELETE", "faults")
        self.twilio.change(pace=4.0, list_lag=0.0)

    # What a fault may do

    def arm(self, moment: str, act: str) -> None:
        """Let something happen at a moment of the first try."""
        self.conf |= {"moment": moment, "act": act}

    def posts(self, kind: str, **fault: Any) -> None:
        """Let the request of the part that breaks go wrong."""
        self.twilio.fault(kind=kind, method="POST", path="/Messages", **{"skip": self.part, **fault})

    def start(self) -> None:
        conf = {
            "run": self.number,
            "people": self.people,
            "connection": f"twilio_{self.lane}",
            "options": self.options,
            **self.conf,
        }
        self.began = time.monotonic()
        try:
            self.airflow.trigger(self.dag_id, conf, self.name)
        except RestFailed as failure:
            if failure.status != 409:  # the reply to the first attempt was lost
                raise

    def noted(self, what: str, on_try: int = 1, timeout: float = LONG) -> dict[str, Any]:
        """The process ids of a try, once it has got so far."""
        note = self.battle.notes / f"{self.name}.{on_try}.{what}"
        return until(lambda: read(note), timeout=timeout, what=note.name, interval=0.05)

    def answer(self) -> None:
        """Let a try go on that called."""
        (self.battle.notes / f"{self.name}.1.answer").touch()

    def taken(self, people: int) -> None:
        """Wait until Twilio has so many of its people."""
        until(
            lambda: sum(self.counts()) >= people,
            timeout=LONG,
            what=f"{people} people of {self.name}",
            interval=0.05,
        )

    def state(self) -> str:
        return str(self.airflow.run(self.dag_id, self.name)["state"])

    def reached(self, states: Collection[str]) -> dict[str, Any]:
        """The task, once it is in one of these states."""
        return self.airflow.wait_for_task(self.dag_id, self.name, "send", states, timeout=LONG)

    def clear(self) -> None:
        self.airflow.clear(self.dag_id, self.name)

    def mark(self, state: str) -> None:
        self.airflow.mark(self.dag_id, self.name, "send", state)

    def nap(self, most: float) -> None:
        time.sleep(self.rng.uniform(0.0, most))

    def thaw(self, pids: dict[str, Any]) -> None:
        """Let frozen processes go on once the next try is there, at a random time after that."""
        self.noted("began", 2)
        self.nap(4.0)
        hit(signal.SIGCONT, pids["task"], pids["supervisor"])

    def given_up(self) -> bool:
        """Wait until Airflow has given the first try up; False if that one had ended before."""

        def decided() -> str | None:
            task = self.airflow.task(self.dag_id, self.name, "send")
            if task["try_number"] > 1:
                return "given up"
            return "ended" if task["state"] in ("deferred", "success", "failed") else None

        return until(decided, timeout=LONG, what=f"{self.name} to be given up", interval=0.5) == "given up"

    # How it ends

    def finish(self) -> Result:
        """Wait for the end, mend what is red once the faults are over, and count."""
        result = Result(self.fault, self.name)
        try:
            self._finish(result)
        except (Trouble, StackFailed) as trouble:
            result.trouble = str(trouble)
        counts = self.counts()
        result.once = sum(count == 1 for count in counts)
        result.twice = sum(count > 1 for count in counts)
        result.lost = sum(count == 0 for count in counts)
        result.seconds = time.monotonic() - self.began
        self.airflow.close()
        return result

    def _finish(self, result: Result) -> None:
        state = self._ended()
        self.twilio.control("DELETE", "faults")
        while state == "failed":
            self._nobody_works()
            unknown = self._unknown()
            if unknown:
                result.uncertain = True
                self._accounted(unknown)
                self._decide(unknown)
            if result.mended == MENDINGS:
                raise Trouble(f"red after {MENDINGS} clears: {self._log()[-600:]}")
            result.mended += 1
            self.clear()
            until(lambda: self.state() != "failed", timeout=LONG, what=f"{self.name} to be cleared")
            state = self._ended()
        self._nobody_works()

    def _ended(self) -> str:
        return self.airflow.wait_for_run(self.dag_id, self.name, timeout=LONG)

    def _nobody_works(self) -> None:
        """Until no try of it is alive: one that was given up may still be sending."""
        pids = {
            pid
            for note in self.battle.notes.glob(f"{self.name}.*.[bm][eo]*")
            for pid in [(read(note) or {}).get("task", 0)]
        }
        until(lambda: not any(map(alive, pids)), timeout=LONG, what=f"the tries of {self.name} to end")

    def _log(self) -> str:
        """The log of the last try that has one."""
        task = self.airflow.task(self.dag_id, self.name, "send")
        return self.airflow.log(self.dag_id, self.name, "send", max(1, task["try_number"]))

    def _unknown(self) -> set[int]:
        """The parts of which the last try says that nobody can tell whether they were sent."""
        log = self._log()
        return {int(part) - 1 for part in _UNCERTAIN.findall(log)} if "SendUncertain" in log else set()

    def _accounted(self, unknown: Collection[int]) -> None:
        """Of an uncertain send: what is not named is known, and what is named is there as a whole or not."""
        each = EACH[self.kind]
        for part in range(PARTS):
            counts = self.counts()[part * each : (part + 1) * each]
            if part in unknown:
                wrong = set(counts) not in ({0}, {1})
            elif self.kind == "bulk" and part > min(unknown):
                wrong = set(counts) != {0}  # nothing after it was sent
            else:
                wrong = set(counts) != {1}
            if wrong:
                raise Trouble(f"uncertain of {sorted(unknown)}, and part {part} was sent to {counts}")

    def _decide(self, unknown: Collection[int]) -> None:
        """What a person does who looks at Twilio: send again what certainly is not there."""
        counts = self.counts()
        there = {part for part in unknown if counts[part * EACH[self.kind]]}
        decision = self.battle.notes / f"{self.name}.decision"
        decision.unlink(missing_ok=True)
        if there != set(unknown):
            decision.write_text("resend")

    def counts(self) -> list[int]:
        """How often each of its people was texted, in order."""
        ledger = self.twilio.ledger()
        return [ledger.get(f"+1202{self.number:04d}{person:03d}", 0) for person in range(self.people)]


Script = Callable[[Run], None]
