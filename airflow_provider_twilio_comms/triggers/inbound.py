"""Watch for inbound messages (replies): https://www.twilio.com/docs/messaging/api/message-resource"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timezone
from fnmatch import translate
from typing import Any, ClassVar, Literal

from airflow.triggers.base import TriggerEvent

from airflow_provider_twilio_comms._core.inbound import InboundMessage, Inbox, files_of
from airflow_provider_twilio_comms._core.privacy import Redaction, derived
from airflow_provider_twilio_comms.client.aio import AsyncClient
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.exceptions import InvalidInput, TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.triggers._asset_state import WatermarkStore
from airflow_provider_twilio_comms.triggers._watching import Round, WatchingTrigger

__all__ = ["InboundWatcher", "TwilioInboundMessageTrigger"]

LAG = 600.0  # seconds by which a message may be late in Twilio's list
FILES_WITHIN = 3.0  # seconds of a round in which media files are listed; texts wait no longer for them
FILES_TRIES = 3  # rounds after which a message whose files cannot be listed is told without them
SHOWN = ("from", "to", "body")


class InboundWatcher(WatchingTrigger[InboundMessage]):
    """Base of the triggers that watch inbound messages: all of a connection's share one poll."""

    topic: ClassVar[str] = "inbound"

    @classmethod
    async def look(
        cls, client: AsyncClient, since: float, wants: Collection[str], memory: dict[str, Any]
    ) -> Sequence[InboundMessage]:
        inbox: Inbox = memory.setdefault("inbox", Inbox())
        return await client.run(inbox.refresh(since, wants))


class TwilioInboundMessageTrigger(InboundWatcher):
    """Fire an event, for an ``AssetWatcher``, for each message that somebody writes to a number or service.

    .. code-block:: python

        stops = Asset(
            "twilio_stops",
            watchers=[
                AssetWatcher(
                    name="stops",
                    trigger=TwilioInboundMessageTrigger(receiver="+15005550006", pattern=r"(?i)\\s*stop\\b"),
                )
            ],
        )

    A new watcher begins with the present. The SIDs it has fired events for are kept in the asset's state
    store, so that a restarted triggerer goes on where it was. The event is ``{"sid", "date", "service_sid",
    "sender", "media"}``: SIDs, the time by Twilio's clock, and the sender's hash as receipts have it
    (``hash_secret``). Numbers and texts are not in it, since Airflow stores and shows it: read them with
    ``messages.fetch(sid)``, or ``show`` them. Where a message's media files cannot be listed, it is tried
    again in the next rounds; then the event comes without them.

    :param receiver: the number, channel address or messaging service it came to; empty for any
    :param senders: patterns such as ``+44*`` of those whose messages count; empty for anybody's
    :param pattern: a regular expression that is searched in the text; empty for any text
    :param show: the fields that the event shows too: ``from``, ``to``, ``body``
    :param look_back: seconds before its very first start from which a watcher begins
    :param twilio_conn_id: the connection
    :param poll_interval: seconds between polls; watchers of one connection and interval share them
    """

    def __init__(
        self,
        receiver: str = "",
        senders: list[str] | None = None,
        pattern: str = "",
        show: list[Literal["from", "to", "body"]] | None = None,
        look_back: float = 0.0,
        twilio_conn_id: str = "twilio_default",
        poll_interval: float = 15.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.receiver = receiver
        self.senders: list[str] = senders or []
        self.pattern = pattern
        self.show: list[Literal["from", "to", "body"]] = show or []
        self.look_back = look_back
        self.twilio_conn_id = twilio_conn_id
        self.poll_interval = poll_interval
        self._fits = _pattern(pattern)
        self._from = re.compile("|".join(map(translate, self.senders))) if self.senders else None
        if unknown := set(self.show) - set(SHOWN):
            raise InvalidInput.at("show", f"{sorted(unknown)} is unknown", f"Use {', '.join(SHOWN)}")
        self._notes = WatermarkStore(self._key(), time.time() - look_back)
        self._tries: dict[str, int] = {}

    @property
    def since(self) -> float:
        return self._notes.watermark

    @property
    def wants(self) -> str:
        return self.receiver

    async def begin(self) -> None:
        await self._notes.read(getattr(self, "asset_state_store", None))

    async def events(self, look: Round[InboundMessage]) -> Iterable[TriggerEvent]:
        if look.error is not None or look.config is None:
            return []
        new = [
            each for each in look.found if self._is_for_us(each) and self._notes.is_new(each.sid, each.date)
        ]
        files = await self._list_files([each.sid for each in new if each.files])
        told = []
        for each in new:
            if each.files and each.sid not in files:
                continue  # its files are asked for again in the next round
            told.append(TriggerEvent(self._event(each, files.get(each.sid, ()), look.config)))
            self._notes.tell(each.sid, each.date)
        self._notes.move(look.at - LAG, {each.sid: each.date for each in new if each.sid in self._tries})
        return told

    async def _list_files(self, sids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """List messages' media files, as far as Twilio does in time; none where it was tried often enough."""
        hook, end = TwilioHook(self.twilio_conn_id), time.monotonic() + FILES_WITHIN
        files: dict[str, tuple[str, ...]] = {}
        for sid in sids:
            try:
                left = max(0.0, end - time.monotonic())
                files[sid] = await asyncio.wait_for(hook.arun(files_of(sid)), left)
            except (TwilioError, asyncio.TimeoutError) as error:
                self._tries[sid] = self._tries.get(sid, 0) + 1
                if self._tries[sid] >= FILES_TRIES:
                    files[sid] = ()
                    why = f"{type(error).__name__}: {error}".rstrip(": ")
                    self.log.warning("The event of %s comes without its media files: %s", sid, why)
        self._tries = {sid: tries for sid, tries in self._tries.items() if sid in sids and sid not in files}
        return files

    def noted(self, number: int) -> None:
        self._notes.noted(number)

    async def stored(self, number: int) -> None:
        await self._notes.stored(getattr(self, "asset_state_store", None), number)

    def _is_for_us(self, message: InboundMessage) -> bool:
        return (
            message.came_to(self.receiver)
            and (self._from is None or self._from.match(message.sender) is not None)
            and self._fits.search(message.body) is not None
        )

    def _event(self, message: InboundMessage, files: Sequence[str], config: Config) -> dict[str, Any]:
        redaction = Redaction("all", config.hash_secret or derived(config.secret))
        shown = {"from": message.sender, "to": message.receiver, "body": message.body}
        return {
            "sid": message.sid,
            "date": datetime.fromtimestamp(message.date, timezone.utc).isoformat(),
            "service_sid": message.service_sid,
            "sender": redaction.number(message.sender),
            "media": list(files),
            **{name: shown[name] for name in self.show},
        }

    def _key(self) -> str:
        """Name the watermark by what is watched, not by how."""
        watched = [self.twilio_conn_id, self.receiver, *self.senders, self.pattern]
        return f"twilio-inbound-{hashlib.sha256(repr(watched).encode()).hexdigest()[:12]}"


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise InvalidInput.at("pattern", f"is no regular expression: {error}", "See Python's re") from None
