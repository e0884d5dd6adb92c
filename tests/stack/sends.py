"""A send on a real Airflow, for tests that break it: started, looked at, and counted on Twilio's side."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_twilio_comms.demo.processes import StackFailed, until
from airflow_provider_twilio_comms.demo.stack import Stack

__all__ = ["Send", "edit"]

_numbers = itertools.count(9000)


def edit(notes: Path, run_id: str, people: Sequence[int | str]) -> None:
    """Write down who is to be texted from a run's next try on: its persons, and numbers that are nobody's."""
    notes.mkdir(exist_ok=True)
    draft = notes / f"{run_id}.draft"
    draft.write_text(json.dumps(list(people)))
    draft.replace(notes / f"{run_id}.people")


@dataclass
class Send:
    """A run of one of the DAGs in ``dags/chaos_sends.py``, to people of its own."""

    stack: Stack
    dag_id: str
    people: int = 6
    options: dict[str, Any] = field(default_factory=dict)
    conf: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.number = next(_numbers)
        self.to = [f"+1202{self.number:04d}{person:03d}" for person in range(self.people)]
        self.text = f"It is run {self.number}."

    def start(self) -> Send:
        self.stack.airflow.wait_for_dag(self.dag_id)
        conf = {"run": self.number, "people": self.people, "options": self.options, **self.conf}
        self.run_id = self.stack.airflow.trigger(self.dag_id, conf)
        return self

    def edit(self, people: Sequence[int]) -> None:
        """Change the list: a later try is given these people; those from ``people`` on are new."""
        edit(self.notes, self.run_id, people)

    def decide(self, **options: Any) -> None:
        """Give a later try these arguments, as a person does who clears the task."""
        self.notes.mkdir(exist_ok=True)
        (self.notes / f"{self.run_id}.decision").write_text(json.dumps(options))

    @property
    def notes(self) -> Path:
        """The folder in which the tries leave notes."""
        return self.stack.home / "chaos"

    def called(self) -> Path:
        """The note of the first try, once it calls; whoever touches its ``.answer`` lets it go on."""
        note = self.notes / f"{self.run_id}.1.moment"
        return until(lambda: note if note.exists() else None, timeout=300, what=f"{note.name}")

    def deferred(self) -> Send:
        self.stack.airflow.wait_for_task(self.dag_id, self.run_id, "send", ("deferred",))
        return self

    def ended(self) -> str:
        return self.stack.airflow.wait_for_run(self.dag_id, self.run_id)

    def mark(self, state: str) -> None:
        self.stack.airflow.mark(self.dag_id, self.run_id, "send", state)

    def cleared(self) -> str:
        """Describe how the run ends once it was cleared."""
        before = self.stack.airflow.task(self.dag_id, self.run_id, "send")["try_number"]
        self.stack.airflow.clear(self.dag_id, self.run_id)
        self.stack.airflow.wait_for_task(self.dag_id, self.run_id, "send", min_try=before + 1)
        return self.ended()

    def counts(self) -> list[int]:
        """Count how often each of its people was texted."""
        assert self.stack.emulator is not None
        ledger = self.stack.emulator.ledger()
        return [ledger.get(number, 0) for number in self.to]

    def ids(self) -> list[str]:
        """Twilio's ids of what was sent, as the task's ledger has them."""
        store = self.stack.airflow.state_store(self.dag_id, self.run_id, "send")
        values = [json.loads(value) if isinstance(value, str) else value for value in store.values()]
        return [value["operation_id"] for value in values if "operation_id" in value]

    def log(self) -> str:
        """Everything that its tries and their triggers have logged."""
        folder = self.stack.task_logs / f"dag_id={self.dag_id}" / f"run_id={self.run_id}"
        return "\n".join(path.read_text() for path in sorted(folder.rglob("*.log*")))

    def says(self, text: str, timeout: float = 300) -> str:
        """The line of its log that has the text, once there is one."""

        def found() -> str | None:
            return next((line for line in self.log().splitlines() if text in line), None)

        try:
            return until(found, timeout=timeout, what=f"{self.dag_id} to say {text!r}")
        except StackFailed as failure:
            raise StackFailed(f"{failure}; it says:\n{self.log()[-4000:]}") from None
