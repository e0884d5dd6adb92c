"""Sends that can be broken at chosen moments. A run's conf says to whom it sends and where it breaks:

``run``         a number; the run's people are those of it
``people``      how many, where no file ``<run id>.people`` says who they are: a JSON list of a run's persons
                (0, 1 ...), and of numbers that are nobody's
``connection``  the connection
``options``     attributes of the operator, such as ``unknown_after``
``moment``      when something happens: before or after a write to the ledger, which is ``1 sending``,
                ``1 accepted`` (and so on) of a part, or the head's, ``begun`` or ``done``
``act``         what happens then, on the try ``on_try`` (default: the first)
``clock``       seconds by which the clock of the try ``clock_try`` is ahead while it sends

Each try leaves notes in ``$AIRFLOW_HOME/chaos``: its process ids, for whoever wants to kill them, the people
that it was given, and that it has sent a part, or was about to note a complete send.
"""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Context

from airflow_provider_twilio_comms._core.sending.ledger import HEADS
from airflow_provider_twilio_comms._tasks.operator import Hidden
from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator

FOLDER = Path(os.environ.get("AIRFLOW_HOME", ".")) / "chaos"
SENDER = "+15005550006"
EACH = 2  # people in a request of the bulk send
PATIENCE = 120.0  # seconds for which a try that called waits for an answer
_right_time = time.time


def number(run: int, person: int) -> str:
    return f"+1202{run:04d}{person:03d}"


class Try:
    """One try of a run's task: its conf, its notes, and the moment at which something happens to it."""

    def __init__(self, context: Context) -> None:
        ti, dag_run = context["ti"], context["dag_run"]
        self.conf: dict[str, Any] = dict(dag_run.conf or {})
        self.name = f"{dag_run.run_id}.{ti.try_number}"
        self.armed = ti.try_number == self.conf.get("on_try", 1)
        self.ahead = self.conf.get("clock", 0) if ti.try_number == self.conf.get("clock_try", 1) else 0
        self.decision = FOLDER / f"{dag_run.run_id}.decision"
        self.people = FOLDER / f"{dag_run.run_id}.people"

    def note(self, what: str, **more: Any) -> Path:
        FOLDER.mkdir(exist_ok=True)
        note = FOLDER / f"{self.name}.{what}"
        draft = note.with_suffix(".draft")
        draft.write_text(json.dumps({"task": os.getpid(), "supervisor": os.getppid(), **more}))
        draft.replace(note)
        return note

    def begin(self) -> list[str]:
        """Read who is to be texted, note it, and move the clock where the conf says so."""
        listed: list[int | str] = list(range(self.conf["people"]))
        if self.people.exists():
            listed = json.loads(self.people.read_text())
        self.note("began", people=listed)
        if self.ahead:
            time.time = lambda: _right_time() + self.ahead
        run = self.conf["run"]
        return [number(run, person) if isinstance(person, int) else person for person in listed]

    def reach(self, moment: str) -> None:
        if not self.armed or moment != self.conf.get("moment"):
            return
        self.armed = False
        note = self.note("moment")
        _ACTS[self.conf["act"]](note)

    def text(self) -> str:
        return f"It is run {self.conf['run']}."

    def options(self) -> dict[str, Any]:
        """Return what the run wants of its operator, and what somebody may have decided since."""
        decided = json.loads(self.decision.read_text()) if self.decision.exists() else {}
        return {**self.conf.get("options", {}), **decided}


def _die(note: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_with_supervisor(note: Path) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _lose_supervisor(note: Path) -> None:
    os.kill(os.getppid(), signal.SIGKILL)


def _freeze(note: Path) -> None:
    os.kill(os.getppid(), signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)


def _call(note: Path) -> None:
    """Wait until somebody has answered the note."""
    deadline = time.monotonic() + PATIENCE
    while not note.with_suffix(".answer").exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def _call_and_die(note: Path) -> None:
    """Let somebody change the world before the next try."""
    _call(note)
    _die(note)


_ACTS = {
    "die": _die,
    "die with supervisor": _die_with_supervisor,
    "lose supervisor": _lose_supervisor,
    "freeze": _freeze,
    "call": _call,
    "call and die": _call_and_die,
}


class Watched:
    """Airflow's state store, with moments before and after each write."""

    def __init__(self, store: Any, attempt: Try) -> None:
        self._store = store
        self._try = attempt

    def get(self, key: str, default: Any = None) -> Any:
        self._try.reach("before the first read")
        return self._store.get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        write = _named(key, value)
        self._try.reach(f"before {write}")
        if write == "done" or write.endswith("accepted"):
            self._try.note("sent")
        self._store.set(key, value, retention=retention)
        if write == "done":
            time.time = _right_time  # deadlines are another subject
        self._try.reach(f"after {write}")


def _named(key: str, value: Any) -> str:
    """A write as a moment calls it."""
    if key == HEADS:
        return "done" if any("done" in head for head in value.values()) else "begun"
    return f"{key.rpartition('.')[2]} {value['state']}"


def _watched(context: Context, attempt: Try) -> Any:
    return {**context, "task_state_store": Watched(context["task_state_store"], attempt)}


def set_options(task: Any, options: dict[str, Any]) -> None:
    """Give a task other arguments than its DAG did; what is hidden stays so."""
    for name, value in options.items():
        setattr(task, name, Hidden(value) if isinstance(getattr(task, name, None), Hidden) else value)


class Bulk(TwilioBulkMessageOperator):
    def execute(self, context: Context) -> Any:
        attempt = Try(context)
        self.recipients = self.hide(attempt.begin())
        self.content = self.hide(attempt.text(), rendered=False)
        set_options(self, attempt.options())
        return super().execute(_watched(context, attempt))

    def execute_complete(self, context: Context, event: Any) -> Any:
        Try(context).note("resumed")
        return super().execute_complete(context, event)


class MessageSend(TwilioSendMessageOperator):
    def execute(self, context: Context) -> Any:
        attempt = Try(context)
        self.to = self.hide(attempt.begin())
        self.body = self.hide(attempt.text(), rendered=False)
        set_options(self, attempt.options())
        return super().execute(_watched(context, attempt))

    def execute_complete(self, context: Context, event: Any) -> Any:
        Try(context).note("resumed")
        return super().execute_complete(context, event)


class GivenUp(MessageSend):
    """Airflow's own time-out of its deferral comes long before its deadline."""

    def defer(self, *, timeout: timedelta | None = None, **kwargs: Any) -> NoReturn:
        super().defer(timeout=timedelta(seconds=1), **kwargs)


COMMON: dict[str, Any] = {
    "task_id": "send",
    "twilio_conn_id": "{{ dag_run.conf.get('connection', 'twilio_default') }}",
    "wait_for": "delivered",
    "deferrable": True,
    "poll_interval": 1.0,
    "timeout": timedelta(minutes=30),
    "retries": 6,
    "retry_delay": timedelta(seconds=1),
}
LIMITS: dict[str, Any] = {"schedule": None, "max_active_runs": 64, "max_active_tasks": 64}

BULK: dict[str, Any] = {
    "recipients": [],
    "content": "none yet",
    "sender": SENDER,
    "recipients_per_request": EACH,
}
# Batches of two messages, of which four may be under way.
CLASSIC: dict[str, Any] = {
    **{name: value for name, value in BULK.items() if name != "recipients_per_request"},
    "generation": "classic",
    "requests_at_once": 4 * EACH,
    "messages_per_second": "unlimited",
}
SINGLE: dict[str, Any] = {"to": [], "body": "none yet", "from_": SENDER}
SOON: dict[str, Any] = {"deferrable": False, "execution_timeout": timedelta(seconds=8)}

# Beside the send stands another task, which somebody may clear.
with DAG("chaos_bulk", **LIMITS):
    Bulk(**BULK, **COMMON)
    EmptyOperator(task_id="other")

with DAG("chaos_classic", **LIMITS):
    Bulk(**CLASSIC, **COMMON)
    EmptyOperator(task_id="other")

with DAG("chaos_single", **LIMITS):
    MessageSend(**SINGLE, **COMMON)
    EmptyOperator(task_id="other")

with DAG("chaos_timed", **LIMITS):
    Bulk(**BULK, **{**COMMON, **SOON, "retries": 0})

with DAG("chaos_late", **LIMITS):
    Bulk(**BULK, **{**COMMON, "timeout": 11.0, "retries": 0})

with DAG("chaos_given_up", **LIMITS):
    GivenUp(**SINGLE, **{**COMMON, "retries": 0})
