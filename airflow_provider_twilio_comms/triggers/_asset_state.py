"""Watermarks of watchers in Airflow's asset state store: deduplicate events over restarts."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

log: logging.Logger = logging.getLogger(__name__)

MOST = 3000  # marks that are kept: the store takes 64 KiB
QUIET = 60.0  # seconds by which the watermark may move on without being written


@dataclass
class WatermarkStore:
    """Record of what a watcher has told. Times are seconds since 1970.

    All before the ``watermark`` is told. ``told`` are the dates of what was told since, by its mark. Where
    that would be too many, all before ``settled`` is told but the marks of ``waiting``.
    """

    key: str
    watermark: float
    told: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    settled: float = 0.0
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
            self.told.update(_dates(value, "told"))
        if found:
            self.watermark = min(float(value["watermark"]) for value in found)
            latest = max(found, key=lambda value: float(value.get("settled", 0.0)))
            self.settled, self.waiting = float(latest.get("settled", 0.0)), _dates(latest, "waiting")
        await self._write(store, self._value())

    def is_new(self, name: str, date: float) -> bool:
        """Tell if this was not told yet."""
        if date < int(self.settled):
            return self.mark(name) in self.waiting
        return date >= int(self.watermark) and self.mark(name) not in self.told

    def tell(self, name: str, date: float) -> None:
        """Note that this was told."""
        self.told[self.mark(name)] = int(date)
        self.waiting.pop(self.mark(name), None)

    def move(self, watermark: float, waiting: Mapping[str, float] | None = None) -> None:
        """Settle all before this time but what is still waited for: its dates by name."""
        dates = {self.mark(name): int(date) for name, date in (waiting or {}).items()}
        self.watermark = max(self.watermark, min([watermark, *dates.values()]))
        self.told = {mark: date for mark, date in self.told.items() if date >= int(self.watermark)}
        room = max(MOST - len(dates), MOST // 2)
        if len(self.told) > room:
            self.settled = max(self.settled, sorted(self.told.values())[-room])
        self.waiting = self._newest({mark: at for mark, at in dates.items() if at < int(self.settled)})
        self.watermark = max(self.watermark, min([self.settled, *self.waiting.values()]))
        since = max(int(self.watermark), int(self.settled))
        self.told = {mark: date for mark, date in self.told.items() if date >= since}

    def _newest(self, waiting: dict[str, int]) -> dict[str, int]:
        if len(waiting) <= MOST // 2:
            return waiting
        log.warning(
            "More than %d are waited for; the oldest %d are not any more", MOST // 2, len(waiting) - MOST // 2
        )
        return dict(sorted(waiting.items(), key=lambda each: each[1])[-(MOST // 2) :])

    def noted(self, number: int) -> None:
        """Remember what is to be written once a round's events are stored."""
        value = self._value()
        if self._differs(value):
            self._pending[number] = value

    async def stored(self, store: Any, number: int) -> None:
        """Write what was noted up to this round. Where the store does not take it, the next write will do."""
        ready = [each for each in self._pending if each <= number]
        if ready:
            await self._write(store, self._pending[max(ready)])
            for each in ready:
                del self._pending[each]

    def _value(self) -> dict[str, Any]:
        start = int(self.watermark)
        value: dict[str, Any] = {"watermark": self.watermark}
        value["told"] = {mark: at - start for mark, at in self.told.items()}
        if self.settled > self.watermark:
            value["settled"] = self.settled
            value["waiting"] = {mark: at - start for mark, at in self.waiting.items()}
        return value

    def _differs(self, value: dict[str, Any]) -> bool:
        before = self._written
        return (
            before is None
            or not value["told"].keys() <= before["told"].keys()
            or value.get("waiting", {}).keys() != before.get("waiting", {}).keys()
            or value["watermark"] - before["watermark"] >= QUIET
        )

    async def _write(self, store: Any, value: dict[str, Any]) -> None:
        try:
            for each in accessors(store):
                await each.aset(self.key, value)
        except Exception:  # the API server may be away for a while; what was told is kept here meanwhile
            log.warning(
                "The watermark of a watcher could not be stored and will be with its next event; a triggerer "
                "that restarts before fires some events again",
                exc_info=True,
            )
        else:
            self._written = value


def _dates(value: dict[str, Any], name: str) -> dict[str, int]:
    start = int(value["watermark"])
    return {mark: start + after for mark, after in value.get(name, {}).items()}


def accessors(store: Any) -> Iterable[Any]:
    """List the stores of the watched assets: Airflow's own accessor refuses where there are several."""
    if store is None:
        return []
    return [*getattr(store, "_by_name", {}).values(), *getattr(store, "_by_uri", {}).values()] or [store]
