"""One run: sent while something breaks or somebody edits, fixed afterwards, and counted on Twilio's side."""

from __future__ import annotations

import json
import random
import re
import signal
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_twilio_comms.demo.processes import StackFailed, until
from airflow_provider_twilio_comms.demo.rest import RestFailed
from tests.chaos.field import Field, Patient, alive, hit, read
from tests.stack.sends import edit

__all__ = ["Kind", "Result", "Run", "Trouble"]

Kind = Literal["bulk", "single", "classic"]
Person = int | str  # one of the run's own, or a number that is nobody's
EACH = {"bulk": 2, "single": 1, "classic": 2}  # people in a request, or a batch of them
NAMED = {"bulk": 2, "single": 1, "classic": 1}  # people in what an uncertain send names
PARTS = 3
LONG = 240.0  # seconds that anything may take
CLEARS = 4  # clears after which a run has to be through
REFUSED = ("+15005550001", "+15005550004", "+15005550009")  # whom Twilio refuses a single message
# "request 2 of 3 (2 recipients) was given", "message 1 of 3 was given", "messages 1, 2 were given"
_UNCERTAIN = re.compile(
    r"(?:request|messages?) ([\d, ]+)(?: of \d+)?(?: \([\d,]+ recipients\))?(?: and \d+ more)? "
    r"(?:was|were) given to Twilio"
)
# "2 of 6 messages were given to Twilio, ... in the order of the plan, numbers 3, 4."
_NUMBERED = re.compile(r"in the order of the plan, numbers ([\d, ]+)\.")


class Trouble(Exception):
    """A finding: something that should not have happened."""


@dataclass
class Result:
    """The end of a run: recipients by how often they were texted, and what had to be done for it.

    ``lost`` are those of the plan who were never texted. ``wrong_colour`` says when it was green though
    somebody of the plan was not texted, or red for good with nothing left to do. ``changed`` counts the reds
    after which the list was given back.
    """

    fault: str
    name: str
    once: int = 0
    twice: int = 0
    lost: int = 0
    wrong_colour: str = ""
    uncertain: bool = False
    changed: int = 0
    clears: int = 0
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
        self.first: list[Person] = list(range(self.people))
        self.now = self.first
        self._fresh = self.people
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

    def fresh(self) -> int:
        """Somebody whom no list has named yet."""
        self._fresh += 1
        return self._fresh - 1

    def edit(self, people: Sequence[Person]) -> None:
        """Change the list: from now on, a try is given these people."""
        self.now = list(people)
        edit(self.battle.notes, self.name, self.now)

    def begin_with(self, people: Sequence[Person]) -> None:
        """Change the list before the first try."""
        self.edit(people)
        self.first = self.now

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
            lambda: sum(self.texted().values()) >= people,
            timeout=LONG,
            what=f"{people} people of {self.name}",
            interval=0.05,
        )

    def state(self) -> str:
        return str(self.airflow.run(self.dag_id, self.name)["state"])

    def reached(self, states: Collection[str]) -> dict[str, Any]:
        """The task, once it is in one of these states."""
        return self.airflow.wait_for_task(self.dag_id, self.name, "send", states, timeout=LONG)

    def ended(self) -> str:
        return self.airflow.wait_for_run(self.dag_id, self.name, timeout=LONG)

    def clear(self, *task_ids: str) -> None:
        """Clear these tasks, or all of the run's."""
        self.airflow.clear(self.dag_id, self.name, *task_ids, downstream=not task_ids)

    def clear_run(self) -> None:
        self.airflow.clear_run(self.dag_id, self.name)

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
        """Wait for the end, fix what is red once the faults are over, and count."""
        result = Result(self.fault, self.name)
        try:
            self._finish(result)
        except (Trouble, StackFailed) as trouble:
            result.trouble = str(trouble)
        texted = self.texted()
        result.once = sum(count == 1 for count in texted.values())
        result.twice = sum(count > 1 for count in texted.values())
        result.lost = len(self._missing())
        result.seconds = time.monotonic() - self.began
        self.airflow.close()
        return result

    def _finish(self, result: Result) -> None:
        state = self.ended()
        self.twilio.control("DELETE", "faults")
        while state == "failed":
            self._nobody_works()
            if result.clears == CLEARS:
                if not self._missing():
                    result.wrong_colour = f"red after {CLEARS} clears, with nothing left to do"
                raise Trouble(f"red after {CLEARS} clears: {self._log()[-600:]}")
            self._settle(result)
            result.clears += 1
            self.clear()
            until(lambda: self.state() != "failed", timeout=LONG, what=f"{self.name} to be cleared")
            state = self.ended()
        self._nobody_works()
        if self._missing():
            result.wrong_colour = f"green, and {len(self._missing())} of the plan were not texted"

    def _settle(self, result: Result) -> None:
        """Do what a person does about a red task before clearing it."""
        log = self._log()
        unknown = _unknown(log)
        decided = {"on_clear": "resume"}  # it is to go on
        if unknown:
            result.uncertain = True
            self._accounted(unknown)
            decided |= self._decide(unknown)
        elif "RecipientsChanged" in log:
            result.changed += 1
            if self.now == self.first:
                raise Trouble(f"RecipientsChanged, and the list is as it was: {log[-600:]}")
            # Of what was under way when it died, the ledger cannot know that Twilio has it.
            known = "more the outcome is unknown" not in log
            if known and not self._untexted(self.first) and not self._untexted(self.now):
                result.wrong_colour = "red for a changed list, with nothing left to do"
            self.edit(self.first)
        elif set(self.now) & set(REFUSED):
            self.edit([person for person in self.now if person not in REFUSED])
        (self.battle.notes / f"{self.name}.decision").write_text(json.dumps(decided))

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

    def _accounted(self, unknown: Collection[int]) -> None:
        """Of an uncertain send: what is not named is known, and what is named is there as a whole or not."""
        people, texted = self._given(self._last("began")), self.texted()
        for part, members in enumerate(_parts(people, NAMED[self.kind])):
            counts = {texted.get(person, 0) for person in members if person not in REFUSED}
            if part in unknown:
                wrong = counts not in ({0}, {1})
            elif self.kind == "classic" or (self.kind == "bulk" and part > min(unknown)):
                wrong = counts not in ({0}, {1}, set())  # begun before it was known, or not begun
            else:
                wrong = bool(counts) and counts != {1}
            if wrong:
                raise Trouble(f"uncertain of {sorted(unknown)}, and part {part} was sent to {counts}")

    def _decide(self, unknown: Collection[int]) -> dict[str, str]:
        """Do what a person does who looks at Twilio: send again what certainly is not there."""
        parts = _parts(self._given(self._last("began")), NAMED[self.kind])
        there = {part for part in unknown if not self._untexted(parts[part])}
        return {"on_unknown": "resend"} if there != set(unknown) else {}

    # Who was texted

    def texted(self) -> dict[Person, int]:
        """Count how often each of its people was texted, whichever list named them."""
        own, ledger = f"+1202{self.number:04d}", self.twilio.ledger()
        return {int(number[-3:]): count for number, count in ledger.items() if number.startswith(own)}

    def _last(self, what: str) -> int:
        """The last try that left such a note; 0 if none did."""
        notes = self.battle.notes.glob(f"{self.name}.*.{what}")
        return max((int(note.name.split(".")[-2]) for note in notes), default=0)

    def _given(self, on_try: int) -> list[Person]:
        """The list that a try was given."""
        note = read(self.battle.notes / f"{self.name}.{on_try}.began")
        return note["people"] if note else self.first

    def _missing(self) -> list[Person]:
        """Whoever is not texted of the plan: that of the last try that sent anything, or noted the end.

        A complete send is not begun again, whatever its list says by then.
        """
        return self._untexted(self._given(self._last("sent") or self._last("began")))

    def _untexted(self, people: Sequence[Person]) -> list[Person]:
        texted = self.texted()
        return [person for person in people if person not in texted]


def _parts(people: Sequence[Person], each: int) -> list[Sequence[Person]]:
    return [people[first : first + each] for first in range(0, len(people), each)]


def _unknown(log: str) -> set[int]:
    """The parts of which a try's log says that nobody can tell whether they were sent."""
    if "SendUncertain" not in log:
        return set()
    named = [*_NUMBERED.findall(log)] or [*_UNCERTAIN.findall(log)]
    return {int(part) - 1 for each in named for part in each.split(",")}


Script = Callable[[Run], None]
