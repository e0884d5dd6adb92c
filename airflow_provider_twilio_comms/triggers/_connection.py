"""The connection of a poll that goes on for days: read again after a failure and every few minutes.

A credential that was rotated, an edge or a base address that was changed, are taken up by a poll that is
running; the session stays open where nothing has changed.
"""

from __future__ import annotations

import logging
import time
from contextlib import AsyncExitStack
from types import TracebackType

from typing_extensions import Self

from airflow_provider_twilio_comms.client.aio import AsyncClient
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

log: logging.Logger = logging.getLogger(__name__)

REREAD = 300.0  # seconds after which a connection is read again though all goes well


class PolledConnection:
    """The client of a connection, as long as the block lasts.

    ``config`` is what the connection last said. ``confirmed`` tells that it was to be read again after the
    last failure, and was still the same, or unreadable; ``changed`` that the last reading found another one.
    """

    config: Config | None = None
    confirmed: bool = False
    changed: bool = False

    def __init__(self, conn_id: str) -> None:
        self.conn_id = conn_id
        self._client: AsyncClient | None = None
        self._lease = AsyncExitStack()
        self._doubted = False
        self._until = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lease.aclose()

    def doubt(self) -> None:
        """Have the connection read again for the next round, since this one failed."""
        self._doubted = True

    async def client(self) -> AsyncClient:
        """The client to make the next round with.

        Raises :class:`TwilioError` where the connection cannot be read and never was. The one that was read
        before may work all the same: a failure can have come and gone while a secrets backend was away.
        """
        self.confirmed = self.changed = False
        if self._client is None or self._doubted or time.monotonic() >= self._until:
            try:
                await self._read()
            except TwilioError as error:
                self.confirmed = self._client is None or self._doubted
                if self._client is None:
                    raise
                self._doubted = False
                log.warning("The connection is used as it was: %r: %s", self.conn_id, error)
            self._until = time.monotonic() + REREAD
        assert self._client is not None
        return self._client

    async def _read(self) -> None:
        hook, lease = TwilioHook(self.conn_id), AsyncExitStack()
        client = await lease.enter_async_context(hook.connected())
        before, self._lease = self._lease, lease
        self.confirmed = self._doubted and hook.config == self.config
        self.changed = self.config is not None and hook.config != self.config
        self._client, self.config, self._doubted = client, hook.config, False
        if self.changed:
            log.info("The connection %r has changed, and is used as it is now", self.conn_id)
        await before.aclose()  # after the new one is open: equal ones share a session
