"""Work carried out with aiohttp, on an event loop: the triggerer's."""

from __future__ import annotations

import asyncio
import io
import os
import ssl
import time
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import Any, TypeVar

from tenacity import AsyncRetrying

from airflow_provider_twilio_comms.api.flows import (
    Aside,
    Done,
    Download,
    Ended,
    Flow,
    Group,
    Pause,
    Upload,
    advance,
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
from airflow_provider_twilio_comms.client._groups import Progress
from airflow_provider_twilio_comms.client._sharing import Shared
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.client.retry import outcome, policy
from airflow_provider_twilio_comms.exceptions import TwilioError

__all__ = ["AsyncClient", "connected"]

T = TypeVar("T")

PIECE = 2**16  # bytes of a body that are sent at once


class AsyncClient:
    """Runs calls and flows over one ``aiohttp.ClientSession``, on the loop that it was made on."""

    def __init__(self, config: Config, connections: int = 32, builder: RequestBuilder | None = None) -> None:
        import aiohttp

        self._builder = builder or RequestBuilder(config)
        self._policy = policy(config.max_attempts)
        pieces = {"sock_connect": min(config.timeout, 10), "sock_read": config.timeout}
        timeout = aiohttp.ClientTimeout(total=WHOLE * config.timeout, **pieces)
        self._of_files = aiohttp.ClientTimeout(total=None, **pieces)  # they may be large, and go to a file
        self._session = aiohttp.ClientSession(
            timeout=timeout,
            connector=aiohttp.TCPConnector(limit=connections, ssl=_trusted()),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        # aiohttp would repeat a GET once by itself; the rule in retry.py is to be the only one.
        self._session._retry_connection = False
        self._timeout = config.timeout
        self._proxies: dict[str, dict[str, Any]] = {}

    async def run(
        self, work: Call[T] | Flow[T], told: Callable[[TwilioError, float], None] | None = None
    ) -> T:
        """Make a call, or carry a flow through, and return its result.

        ``told`` hears of each error after which a call may be made again.
        """
        if isinstance(work, Call):
            return await self._perform(work, told)  # type: ignore[no-any-return]
        groups: dict[Group, _Carrying] = {}
        step = advance(work)
        try:
            while not isinstance(step, Done):
                try:
                    if isinstance(step, Group):
                        if step not in groups:
                            groups[step] = _Carrying(step)
                        answer: Any = await self._ended(groups[step])
                    else:
                        answer = await self._perform(step, told)
                    step = advance(work, answer)
                except TwilioError as error:
                    step = advance(work, error=error)
        except Exception:
            await _finish(groups.values())
            raise
        except BaseException:
            _cancel(groups.values())
            raise
        await _finish(groups.values())
        return step.value

    async def carry_out(self, progress: Progress, key: Any, work: Any, wake: Callable[[], None]) -> None:
        """Carry out one of a group, whose error is a value; a bug ends the group."""
        try:
            if isinstance(work, Call):
                value = await self._perform(work, progress.throttled)
            else:
                value = await self.run(work, progress.throttled)
            progress.end(Ended(key, value))
        except TwilioError as error:
            progress.end(Ended(key, error=error))
        except BaseException as error:
            progress.fail(error)
        wake()

    async def close(self) -> None:
        await self._session.close()

    async def _ended(self, group: _Carrying) -> list[Ended]:
        """Begin what may begin, and wait until something has ended; nothing says that all has."""
        while True:
            group.ended.clear()
            for key, work in group.due(time.monotonic()):
                group.tasks.add(asyncio.create_task(self.carry_out(group, key, work, group.ended.set)))
            if found := group.taken():
                group.tasks = {task for task in group.tasks if not task.done()}
                return found
            delay = group.delay(time.monotonic())
            if not group.under_way and delay is None:
                return []
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(group.ended.wait(), delay)

    async def _perform(
        self,
        step: Call[Any] | Pause | Download | Upload | Aside,
        told: Callable[[TwilioError, float], None] | None,
    ) -> Any:
        if isinstance(step, Pause):
            return await _pause(step)
        if isinstance(step, Aside):
            return await asyncio.to_thread(step.do)
        if isinstance(step, Download | Upload):
            return await AsyncRetrying(**self._policy)(self._carry, step)
        try:
            # Nearly always the only attempt, and a retry's bookkeeping costs.
            return await self._deliver(step)
        except TwilioError as error:
            first: list[TwilioError] = [error]

        async def attempt(call: Call[Any]) -> Any:
            try:
                if first:
                    raise first.pop()
                return await self._deliver(call)
            except TwilioError as error:
                if told:
                    told(error, time.monotonic())
                raise

        try:
            return await AsyncRetrying(**self._policy)(attempt, step)
        except TwilioError as error:
            raise outcome(step, error) from error.__cause__

    async def _deliver(self, call: Call[T]) -> T:
        exchange = self._builder.deliver(call)
        try:
            step = advance(exchange)
            while not isinstance(step, Done):
                try:  # a request nearly always, of which there are many
                    answer = await (self._exchange(step) if isinstance(step, Request) else self._answer(step))
                except TwilioError as error:
                    step = advance(exchange, error=error)
                else:
                    step = advance(exchange, answer)
            return step.value
        finally:
            exchange.close()  # others may wait for what it has begun

    async def _answer(self, step: Pause | Call[Any] | Future[Any]) -> Any:
        if isinstance(step, Future):  # whoever is cancelled leaves it to the others that wait
            return await asyncio.shield(asyncio.wrap_future(step))
        return await self._perform(step, None)

    async def _exchange(self, request: Request) -> Reply:
        import aiohttp
        from yarl import URL

        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=_payload(request.body),
                allow_redirects=False,
                **self._proxy(request),
            ) as response:
                length = response.content_length
                if length is not None and length <= PIECE and not response.headers.get("Content-Encoding"):
                    return Reply(response.status, response.headers, await response.read())
                body = bytearray()
                async for block in response.content.iter_any():
                    body += block
                    if len(body) > LARGEST:
                        raise too_large(request)
                return Reply(response.status, response.headers, bytes(body))
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

    async def _carry(self, file: Download | Upload) -> int | None:
        if isinstance(file, Download):
            return await self._download(file)
        await self._upload(file)
        return None

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


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    """A body as aiohttp is to take it: a large one is sent in pieces."""
    return body if body is None or len(body) < PIECE else io.BytesIO(body)


class _Carrying(Progress):
    """A group on this loop."""

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        self.ended = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()


async def _finish(groups: Iterable[_Carrying]) -> None:
    """Wait for what a flow has left under way."""
    if tasks := [task for group in groups for task in group.tasks]:
        await asyncio.gather(*tasks)


def _cancel(groups: Iterable[_Carrying]) -> None:
    for group in groups:
        for task in group.tasks:
            task.cancel()


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


def _trusted() -> ssl.SSLContext | bool:
    """The certificate authorities that requests trusts too: those of ``REQUESTS_CA_BUNDLE``, if it is set."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return _context(bundle, os.stat(bundle).st_mtime) if bundle and os.path.exists(bundle) else True


@lru_cache(4)
def _context(bundle: str, _changed: float) -> ssl.SSLContext:
    if os.path.isdir(bundle):
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)
