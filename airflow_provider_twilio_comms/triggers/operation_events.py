"""Watch for bulk operations that reach their end, whoever started them."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, ClassVar, Literal

from airflow.triggers.base import TriggerEvent

from airflow_provider_twilio_comms.api.comms import messages, operations
from airflow_provider_twilio_comms.api.comms.operations import Operation
from airflow_provider_twilio_comms.api.flows import Flow, every_item, made
from airflow_provider_twilio_comms.client.aio import AsyncClient
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.triggers._asset_state import WatermarkStore
from airflow_provider_twilio_comms.triggers._watching import Round, WatchingTrigger

__all__ = ["Tagged", "TwilioOperationEventTrigger"]

log: logging.Logger = logging.getLogger(__name__)

LAG = 600.0  # seconds by which an operation may be late in Twilio's list
KEPT = 7 * 86_400.0  # seconds after which Twilio forgets an operation


@dataclass(frozen=True)
class Tagged:
    """An operation and its tags; None where none of its messages is listed yet."""

    operation: Operation
    tags: dict[str, str] | None

    @property
    def born(self) -> float:
        return self.operation.created_at.timestamp() if self.operation.created_at else 0.0


class TwilioOperationEventTrigger(WatchingTrigger[Tagged]):
    """Fire an event, for an ``AssetWatcher``, for each operation with a tag that reaches its end.

    The event is ``{"operation_id", "status", "stats", "tags"}``. An operation has no tags at Twilio, its
    messages do: the first one of each operation is looked at, once. The operations that it has fired events
    for are kept in the asset's state store.

    :param tags: tags that its messages carry, such as ``{"campaign": "spring"}``; empty for any operation
    :param until: ``processed``, or ``delivered`` for when the last receipt is in
    :param receipts_within: seconds after its processing in which receipts are waited for; some never come
    :param look_back: seconds before its very first start from which a watcher begins
    :param twilio_conn_id: the connection
    :param poll_interval: seconds between polls; watchers of one connection and interval share them
    """

    topic: ClassVar[str] = "operations"

    def __init__(
        self,
        tags: dict[str, str] | None = None,
        until: Literal["processed", "delivered"] = "delivered",
        receipts_within: float = 3600.0,
        look_back: float = 0.0,
        twilio_conn_id: str = "twilio_default",
        poll_interval: float = 30.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tags: dict[str, str] = tags or {}
        self.until = until
        self.receipts_within = receipts_within
        self.look_back = look_back
        self.twilio_conn_id = twilio_conn_id
        self.poll_interval = poll_interval
        watched = [twilio_conn_id, sorted(self.tags.items()), until]
        key = f"twilio-operations-{hashlib.sha256(repr(watched).encode()).hexdigest()[:12]}"
        self._notes = WatermarkStore(key, time.time() - look_back)

    @classmethod
    async def look(
        cls, client: AsyncClient, since: float, wants: Collection[str], memory: dict[str, Any]
    ) -> Sequence[Tagged]:
        return await client.run(_tagged(since, memory, "tags" in wants))

    @property
    def since(self) -> float:
        return self._notes.watermark

    @property
    def wants(self) -> str:
        return "tags" if self.tags else ""

    async def begin(self) -> None:
        await self._notes.read(getattr(self, "asset_state_store", None))

    async def events(self, look: Round[Tagged]) -> Iterable[TriggerEvent]:
        if look.error is not None:
            return []
        told: list[TriggerEvent] = []
        waiting: dict[str, float] = {}
        for each in look.found:
            if not self._notes.is_new(each.operation.id, each.born):
                continue
            if self.tags and each.tags is None:
                waiting[each.operation.id] = each.born
            elif self.tags.items() <= (each.tags or {}).items():
                if self._ended(each.operation, look.at):
                    told.append(TriggerEvent(_event(each)))
                    self._notes.tell(each.operation.id, each.born)
                else:
                    waiting[each.operation.id] = each.born
        known = {name: born for name, born in waiting.items() if born > look.at - KEPT}
        self._notes.move(look.at - LAG, known)
        return told

    def noted(self, number: int) -> None:
        self._notes.noted(number)

    async def stored(self, number: int) -> None:
        await self._notes.stored(getattr(self, "asset_state_store", None), number)

    def _ended(self, operation: Operation, now: float) -> bool:
        if not operation.done:
            return False
        if self.until == "processed" or not operation.stats.under_way:
            return True
        updated = operation.updated_at or operation.created_at
        return updated is not None and now - updated.timestamp() > self.receipts_within


def _tagged(since: float, memory: dict[str, Any], tags_too: bool) -> Flow[list[Tagged]]:
    """List the operations made since then, with their tags, which are read once each into ``memory``.

    Where the tags of one cannot be read, the others' are all the same: it is asked for last the next time,
    and a round ends its asking with the first failure.
    """
    start = datetime.fromtimestamp(int(since), timezone.utc)
    rows = yield from every_item(operations.list(start_date=start, page_size=1000))
    tags: dict[str, dict[str, str]] = memory.setdefault("tags", {})
    failed: Counter[str] = memory.setdefault("failed", Counter())
    for gone in (tags.keys() | failed.keys()) - {row.id for row in rows}:
        tags.pop(gone, None)
        failed.pop(gone, None)
    unread = [row.id for row in rows if row.id not in tags] if tags_too else []
    for name in sorted(unread, key=failed.__getitem__):
        try:
            page = yield from made(messages.list(operation_id=name, page_size=1))
        except TwilioError as error:
            failed[name] += 1
            log.warning("The tags of operation %s cannot be read, and are tried again: %s", name, error)
            break
        if page.items:
            tags[name] = page.items[0].tags or {}
    return [Tagged(row, tags.get(row.id)) for row in reversed(rows)]


def _event(each: Tagged) -> dict[str, Any]:
    operation = each.operation
    return {
        "operation_id": operation.id,
        "status": operation.status,
        "stats": operation.stats.to_dict(),
        "tags": each.tags or {},
    }
