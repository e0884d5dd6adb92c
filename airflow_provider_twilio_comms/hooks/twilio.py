"""The hook: run calls and flows with the credentials of an Airflow connection."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import cached_property
from typing import Any, TypeVar

from airflow.sdk import BaseHook

from airflow_provider_twilio_comms.api.flows import Flow
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.client import aio, sync
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.hooks._connection_test import connection_checked

__all__ = ["TwilioHook"]

T = TypeVar("T")


class TwilioHook(BaseHook):
    """Run calls and flows of ``api/`` with the credentials of a connection.

    .. code-block:: python

        hook = TwilioHook()
        operation = hook.run(operations.fetch("comms_operation_01h9krwprkeee8fzqspvwy6nq8"))

    The connection is read when it is first needed. Hooks of equal connections share one HTTP session.

    :param twilio_conn_id: the connection, of type ``twilio``
    """

    conn_name_attr = "twilio_conn_id"
    default_conn_name = "twilio_default"
    conn_type = "twilio"
    hook_name = "Twilio"

    def __init__(self, twilio_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.twilio_conn_id = twilio_conn_id

    @cached_property
    def config(self) -> Config:
        """The connection's settings. Raises :class:`InvalidInput` with the field and the fix."""
        try:
            connection = self.get_connection(self.twilio_conn_id)
        except Exception as error:  # not defined, or whatever a secrets backend raises when it is not there
            name = type(error).__name__
            raise TwilioError(
                f"the connection {self.twilio_conn_id!r} cannot be read ({name}: {error})"
            ) from error
        return Config.from_connection(connection)

    def run(self, work: Call[T] | Flow[T]) -> T:
        """Run a call or a flow synchronously, in a worker. Raises :class:`TwilioError`."""
        return self._client.run(work)

    async def arun(self, work: Call[T] | Flow[T]) -> T:
        """Run a call or a flow on an event loop. Raises :class:`TwilioError`."""
        async with self.connected() as client:
            return await client.run(work)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[aio.AsyncClient]:
        """Open the event loop's client for this connection; its session stays open while anyone uses it."""
        if "config" not in self.__dict__:
            from asgiref.sync import sync_to_async

            # The synchronous read is the one that works in a triggerer and under dag.test() alike.
            await sync_to_async(lambda: self.config)()
        async with aio.connected(self.config) as client:
            yield client

    def get_conn(self) -> sync.Client:
        """Return the client of this process for this connection."""
        return self._client

    def test_connection(self) -> tuple[bool, str]:
        """Check the credentials without writing anything; answers in one sentence."""
        try:
            return self.run(connection_checked(self.config))
        except TwilioError as error:
            return False, str(error)

    @cached_property
    def _client(self) -> sync.Client:
        lease = ExitStack()
        client = lease.enter_context(sync.connected(self.config))
        weakref.finalize(self, lease.close)
        return client
