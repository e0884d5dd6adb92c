"""Work carried out with aiohttp, on an event loop: the triggerer's."""

from __future__ import annotations

import asyncio
import io
import time
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from tenacity import AsyncRetrying

from airflow_provider_twilio_comms.api.flows import (
    Aside,
    Done,
    Download,
    Flow,
    Pause,
    Upload,
    advance,
    made,
)
from airflow_provider_twilio_comms.api.wire import Call, Reply
from airflow_provider_twilio_comms.client._downloads import BLOCK, broken, emptied, unkept
from airflow_provider_twilio_comms.client._exchange import (
    LARGEST,
    WHOLE,
    Request,
    RequestBuilder,
    lost,
    too_large,
)
from airflow_provider_twilio_comms.client._sharing import Shared
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.client.retry import outcome, policy
from airflow_provider_twilio_comms.exceptions import TwilioError

__all__ = ["AsyncClient", "connected"]

T = TypeVar("T")


class AsyncClient:
    """Runs calls and flows over one ``aiohttp.ClientSession``, on the loop that it was made on."""

    def __init__(self, config: Config) -> None:
        import aiohttp

        self._courier = RequestBuilder(config)
        self._policy = policy(config.max_attempts)
        pieces = {"sock_connect": min(config.timeout, 10), "sock_read": config.timeout}
        timeout = aiohttp.ClientTimeout(total=WHOLE * config.timeout, **pieces)
        self._of_files = aiohttp.ClientTimeout(total=None, **pieces)  # they may be large, and go to a file
        self._session = aiohttp.ClientSession(
            timeout=timeout,
            connector=aiohttp.TCPConnector(limit=32),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        # aiohttp would repeat a GET once by itself; the rule in retry.py is to be the only one.
        self._session._retry_connection = False
        self._timeout = config.timeout
        self._proxies: dict[str, dict[str, Any]] = {}

    async def run(self, work: Call[T] | Flow[T]) -> T:
        """Make a call, or carry a flow through, and return its result."""
        flow = made(work) if isinstance(work, Call) else work
        step = advance(flow)
        while not isinstance(step, Done):
            try:
                step = advance(flow, await self._perform(step))
            except TwilioError as error:
                step = advance(flow, error=error)
        return step.value

    async def close(self) -> None:
        await self._session.close()

    async def _perform(self, step: Call[Any] | Pause | Download | Upload | Aside) -> Any:
        if isinstance(step, Pause):
            return await _pause(step)
        if isinstance(step, Aside):
            return await asyncio.to_thread(step.do)
        if isinstance(step, Download):
            return await AsyncRetrying(**self._policy)(self._download, step)
        if isinstance(step, Upload):
            return await AsyncRetrying(**self._policy)(self._upload, step)
        try:
            return await AsyncRetrying(**self._policy)(self._deliver, step)
        except TwilioError as error:
            raise outcome(step, error) from error.__cause__

    async def _deliver(self, call: Call[T]) -> T:
        exchange = self._courier.deliver(call)
        step = advance(exchange)
        while not isinstance(step, Done):
            answer = await (_pause(step) if isinstance(step, Pause) else self._exchange(step))
            step = advance(exchange, answer)
        return step.value

    async def _exchange(self, request: Request) -> Reply:
        import aiohttp
        from yarl import URL

        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=None if request.body is None else io.BytesIO(request.body),  # sent in pieces
                allow_redirects=False,
                **self._proxy(request),
            ) as response:
                body = bytearray()
                async for block in response.content.iter_any():
                    body += block
                    if len(body) > LARGEST:
                        raise too_large(request)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status, headers, bytes(body))
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            never = isinstance(
                error,
                aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.ClientHttpProxyError,
            )
            raise lost(request, not never, self._reason(error, never)) from None

    def _proxy(self, request: Request) -> dict[str, Any]:
        """The proxy that the environment names, found once per host.

        Not by aiohttp's ``trust_env``: it reads .netrc too, and then refuses our Authorization header.
        """
        if request.product not in self._proxies:
            self._proxies[request.product] = _proxy_of(request.url)
        return self._proxies[request.product]

    async def _download(self, download: Download) -> int:
        import aiohttp
        from yarl import URL

        try:
            address = URL(emptied(download).url, encoded=True)
            async with self._session.get(
                address, timeout=self._of_files, **_proxy_of(download.url)
            ) as response:
                if response.status != 200:
                    raise unkept(download, response.status)
                async for block in response.content.iter_chunked(BLOCK):
                    download.into.write(block)
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            never = isinstance(error, aiohttp.ClientConnectorError)
            raise broken(download, self._reason(error, never)) from None
        return download.into.tell()

    async def _upload(self, upload: Upload) -> None:
        import aiohttp
        from yarl import URL

        headers = {"Content-Type": upload.content_type, "Content-Length": str(upload.size())}
        try:
            async with self._session.put(
                URL(upload.url, encoded=True),
                data=_blocks(upload),
                headers=headers,
                timeout=self._of_files,
                allow_redirects=False,
                **_proxy_of(upload.url),
            ) as response:
                if not 200 <= response.status < 300:
                    raise unkept(upload, response.status)
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            never = isinstance(error, aiohttp.ClientConnectorError)
            raise broken(upload, self._reason(error, never)) from None

    def _reason(self, error: Exception, never_connected: bool) -> str:
        import aiohttp

        if never_connected:
            return "the host could not be reached"
        if isinstance(error, aiohttp.ServerTimeoutError):
            return f"no answer within {self._timeout:g} s"
        if isinstance(error, asyncio.TimeoutError):
            return f"no whole answer within {WHOLE * self._timeout:g} s"
        return f"the connection broke ({type(error).__name__})"


def _proxy_of(url: str) -> dict[str, Any]:
    from yarl import URL

    host = URL(url, encoded=True)
    address = urllib.request.getproxies().get(host.scheme)
    if not address or urllib.request.proxy_bypass(host.host or ""):
        return {}
    proxy = URL(address if "://" in address else f"http://{address}")
    if proxy.user is None:
        return {"proxy": proxy}
    login = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
    return {"proxy": proxy.with_user(None), "proxy_headers": {"Proxy-Authorization": f"Basic {login}"}}


async def _blocks(upload: Upload) -> AsyncIterator[bytes]:
    """Read the file a block at a time: aiohttp would close a file that it is handed."""
    while block := upload.file.read(BLOCK):
        yield block


async def _pause(pause: Pause) -> float:
    if pause.seconds > 0:
        await asyncio.sleep(pause.seconds)
    return time.time()


_clients: Shared[AsyncClient] = Shared()


@asynccontextmanager
async def connected(config: Config) -> AsyncIterator[AsyncClient]:
    """The event loop's client for a connection, for as long as the block lasts."""
    key = (asyncio.get_running_loop(), config)
    client = _clients.enter(key, lambda: AsyncClient(config))
    try:
        yield client
    finally:
        last = _clients.leave(key)
        if last is not None:
            await last.close()
