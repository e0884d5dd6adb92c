"""Fakes of Airflow for tests that need none: a task instance and a state store in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

__all__ = ["MemoryStore", "TaskInstance", "context"]


class MemoryStore:
    """A task state store that outlives its tries. ``refuse`` raises for a write it dislikes."""

    def __init__(self, refuse: Callable[[str, Any], None] = lambda key, value: None) -> None:
        self.values: dict[str, str] = {}
        self.refuse = refuse

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self.refuse(key, value)
        self.values[key] = json.dumps(value)


class TaskInstance:
    """A try of a task: what an operator asks of it."""

    def __init__(
        self, try_number: int = 1, task_id: str = "send", run_id: str = "run", max_tries: int = 3
    ) -> None:
        self.dag_id, self.run_id, self.task_id, self.map_index = "dag", run_id, task_id, -1
        self.try_number, self.max_tries = try_number, max_tries
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str, map_indexes: int) -> Any:
        assert (task_ids, map_indexes) == (self.task_id, self.map_index)
        return self.xcoms.get(key)


def context(store: MemoryStore | None = None, try_number: int = 1, clear_number: int = 0, **ti: Any) -> Any:
    """The context of a try. A clear of the task gives it more ``max_tries``, as Airflow does."""
    values: dict[str, Any] = {
        "ti": TaskInstance(try_number, **ti),
        "dag_run": SimpleNamespace(clear_number=clear_number),
    }
    return values if store is None else {**values, "task_state_store": store}
