"""An alert, and the text it gets where its author wrote none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_twilio_comms._core.alerts.segments import cut, fits, plain
from airflow_provider_twilio_comms.exceptions import scrub

ROOM = 40  # characters of an error that say more than a longer link does
NAMED = 3  # failed tasks that an alert about a run names
_WORDS = {
    "up_for_retry": "failed, to be tried again",
    "deadline": "missed its deadline",
    "success": "succeeded",
    "running": "started",
    "skipped": "was skipped",
}
_SECRETS = re.compile(
    r"(?i)(\b[\w-]*(?:password|passwd|secret|token|api_?key|authorization|credential)[\w-]*\b\W{0,3}[:=]\s*\W?)"
    r"(?:(?:bearer|basic)\s+)?[^\s'\",;&]+"
    r"|(?<=://)[^\s/@]+@"
    r"|\b(?:bearer|basic)\s+[\w.~+/=-]{8,}"
)


def clean_error(text: str) -> str:
    """Take the first line of an error, and what looks like a number or a secret out of it."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return scrub(_SECRETS.sub(lambda match: f"{match[1] or ''}***", line))


@dataclass(frozen=True)
class Alert:
    """An alert, as templates know it under the name ``alert``.

    ``failed_tasks`` are those of the run that the alert is about, and ``error`` is the first that they left;
    ``state`` is Airflow's word (``failed``, ``up_for_retry``, ``success`` ...), or ``deadline``; ``tries`` is
    how many there are at most; ``links`` are addresses to look at, the most telling first; ``held_back`` is
    how many alerts the storm control has kept back since the last message; ``instance`` is what ``[api]
    instance_name`` calls this Airflow.
    """

    dag_id: str = ""
    task_id: str | None = None
    map_index: int = -1
    run_id: str | None = None
    run_type: str | None = None
    state: str = "failed"
    try_number: int | None = None
    tries: int | None = None
    error: str = ""
    failed_tasks: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    severity: str | None = None
    instance: str = ""
    deadline_id: str | None = None
    deadline_time: datetime | None = None
    held_back: int = 0
    recovered: bool = False

    @property
    def link(self) -> str:
        return self.links[0] if self.links else ""

    @property
    def backfill(self) -> bool:
        return self.run_type == "backfill"

    @property
    def will_retry(self) -> bool:
        return self.state == "up_for_retry"

    @property
    def what(self) -> str:
        """``dag.task[map index]``, or ``dag`` alone."""
        index = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"{self.dag_id}.{self.task_id}{index}" if self.task_id else self.dag_id or "Airflow"

    @property
    def held(self) -> str:
        return f"{self.held_back:,} held back" if self.held_back else ""

    @property
    def headline(self) -> str:
        """The name, the state, the try, and how many were held back."""
        done = "recovered" if self.recovered else _WORDS.get(self.state, self.state.replace("_", " "))
        if self.state == "deadline" and self.deadline_time:
            done += f" {self.deadline_time:%Y-%m-%d %H:%M %Z}".rstrip()
        parts = [f"{self.what} {done}"]
        if self.try_number and self.tries and not self.recovered:
            parts.append(f"try {self.try_number}/{self.tries}")
        if self.held_back:
            parts.append(self.held)
        return (f"{self.severity.upper()}: " if self.severity else "") + ", ".join(parts)

    @property
    def detail(self) -> str:
        """The tasks of a run that failed, a few of them by name, and the first error; of a task its error."""
        shown, more = ", ".join(self.failed_tasks[:NAMED]), len(self.failed_tasks) - NAMED
        names = f"{shown} and {more:,} more" if more > 0 else shown
        return ": ".join(part for part in (names, self.error) if part)

    @property
    def text(self) -> str:
        """A text of one segment: the headline, the error, and the most telling link that leaves it room."""
        head, error = plain(self.headline), plain("" if self.recovered else self.detail)
        body = f"{head}\n{error}" if error else head
        needed = len(head) + 1 + min(len(error), ROOM)
        for link in self.links:
            text = cut(body, 1, f"\n{link}")
            if fits(text, 1) and len(text) - len(link) - 1 >= (needed if error else len(head)):
                return text
        return cut(body, 1)
