"""One client per connection and process, or event loop: opened by the first user, closed by the last."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

C = TypeVar("C")


class Shared(Generic[C]):
    """Counts who uses what. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # collecting a hook may leave in the middle of an enter
        self._users: dict[Hashable, tuple[C, int]] = {}

    def enter(self, key: Hashable, make: Callable[[], C]) -> C:
        """Use the client of this key; ``make`` it if nobody does yet."""
        with self._lock:
            client, users = self._users.get(key) or (make(), 0)
            self._users[key] = (client, users + 1)
            return client

    def leave(self, key: Hashable) -> C | None:
        """Stop using it. Returns the client when the last user has left, for it to be closed."""
        with self._lock:
            client, users = self._users.pop(key)
            if users > 1:
                self._users[key] = (client, users - 1)
                return None
            return client
