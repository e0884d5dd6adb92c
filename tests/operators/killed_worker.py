"""A try of a bulk send in a process of its own, which is killed at a chosen moment.

The moment is a log message (``Twilio accepted chunk 1``) or a ledger write (``ledger 0 sending``, killed
right after it was written). The ledger is a file, so that it outlives the process as Airflow's does.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fakes import MemoryStore, context

__all__ = ["FileStore", "attempt", "killed_at"]


class FileStore(MemoryStore):
    """A state store in a file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        if path.exists():
            self.values = json.loads(path.read_text())

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        super().set(key, value, retention=retention)
        partial = self.path.with_suffix(".new")
        partial.write_text(json.dumps(self.values))
        partial.replace(self.path)
        logging.getLogger("tests.ledger").info("ledger %s %s", key.rpartition(".")[2], value.get("state"))


class _Killer(logging.Handler):
    def __init__(self, moment: str, skip: int) -> None:
        super().__init__()
        self._moment = re.compile(moment)
        self._skip = skip

    def emit(self, record: logging.LogRecord) -> None:
        if self._moment.search(record.getMessage()):
            self._skip -= 1
            if self._skip < 0:
                os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def killed_at(moment: str, skip: int = 0) -> Iterator[None]:
    """Die at a log message, not at the first ones of its kind where some are to be skipped."""
    root, killer = logging.getLogger(), _Killer(moment, skip)
    root.addHandler(killer)
    try:
        yield
    finally:
        root.removeHandler(killer)


def attempt(
    connection: str, count: int, ledger: str | None, moment: str = "^$", try_number: int = 1, **kwargs: Any
) -> dict[str, Any] | None:
    """Run a try; without a ``ledger`` file, Airflow has no state store."""
    from tests.operators.bulk_sends import bulk, people

    os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"] = connection
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.DEBUG)
    with killed_at(moment):
        store = FileStore(Path(ledger)) if ledger else None
        return bulk(people(count), **kwargs).execute(context(store, try_number=try_number))
