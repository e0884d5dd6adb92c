"""What a watcher has told, in Airflow's asset state store: marks, and the time before which all is told."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["WatermarkStore", "accessors"]

log: logging.Logger = logging.getLogger(__name__)

MOST = 3000  # marks that are kept: the store takes 64 KiB
QUIET = 60.0  # seconds by which the time may move on without being written


@dataclass
class WatermarkStore:
    """``watermark`` is in seconds since 1970; ``told`` are the dates of what was told since, by its mark."""

    key: str
    watermark: float
    told: dict[str, int] = field(default_factory=dict)
    _pending: dict[int, dict[str, Any]] = field(default_factory=dict)
    _written: dict[str, Any] | None = None

    @staticmethod
    def mark(name: str) -> str:
        """Nine characters for a SID: enough among thousands."""
        return hashlib.sha256(name.encode()).hexdigest()[:9]

    async def read(self, store: Any) -> None:
        """Go on where the last watcher stopped; where there was none, write down where this one starts."""
        found = [value for each in accessors(store) if isinstance(value := await each.aget(self.key), dict)]
        for value in found:
            start = int(value["watermark"])
            self.told.update({mark: start + after for mark, after in value["told"].items()})
        if found:
            self.watermark = min(float(value["watermark"]) for value in found)
        await self._write(store, self._value())

    def is_new(self, name: str, date: float) -> bool:
        return date >= int(self.watermark) and self.mark(name) not in self.told

    def tell(self, name: str, date: float) -> None:
        self.told[self.mark(name)] = int(date)

    def move(self, watermark: float) -> None:
        """All before this time is told, and will not be looked at again."""
        self.watermark = max(self.watermark, watermark)
        if len(self.told) > MOST:
            self.watermark = max(self.watermark, sorted(self.told.values())[-MOST])
        self.told = {mark: date for mark, date in self.told.items() if date >= int(self.watermark)}

    def noted(self, number: int) -> None:
        value = self._value()
        if self._differs(value):
            self._pending[number] = value

    async def stored(self, store: Any, number: int) -> None:
        """Write what was noted up to this round. Where the store does not take it, the next time will do."""
        ready = [each for each in self._pending if each <= number]
        if ready:
            await self._write(store, self._pending[max(ready)])
            for each in ready:
                del self._pending[each]

    def _value(self) -> dict[str, Any]:
        start = int(self.watermark)
        return {"watermark": self.watermark, "told": {mark: at - start for mark, at in self.told.items()}}

    def _differs(self, value: dict[str, Any]) -> bool:
        before = self._written
        return (
            before is None
            or not value["told"].keys() <= before["told"].keys()
            or value["watermark"] - before["watermark"] >= QUIET
        )

    async def _write(self, store: Any, value: dict[str, Any]) -> None:
        try:
            for each in accessors(store):
                await each.aset(self.key, value)
        except Exception:  # the API server may be away for a while; what was told is kept here meanwhile
            log.warning("What was told could not be noted; it will be with the next news", exc_info=True)
        else:
            self._written = value


def accessors(store: Any) -> Iterable[Any]:
    """The store of each asset that is watched. Airflow's own way in refuses where there are several."""
    if store is None:
        return []
    return [*getattr(store, "_by_name", {}).values(), *getattr(store, "_by_uri", {}).values()] or [store]
