"""Work carried out with requests, in a worker."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import Retrying

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
from airflow_provider_twilio_comms.client._loop import LoopThread, Waiting
from airflow_provider_twilio_comms.client._sharing import Shared
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.client.retry import outcome, policy
from airflow_provider_twilio_comms.exceptions import TwilioError

if TYPE_CHECKING:
    import requests

__all__ = ["Client", "connected"]

T = TypeVar("T")


class Client:
    """Runs calls and flows over one ``requests.Session``. Safe to share between threads."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._builder = RequestBuilder(config)
        self._loop: LoopThread | None = None
        self._opening = threading.Lock()
        self._timeout = (min(config.timeout, 10.0), config.timeout)
        self._retrying = Retrying(**policy(config.max_attempts))
        self._session, self._process = _session(), os.getpid()
        self._settings: dict[str, dict[str, Any]] = {}

    def run(self, work: Call[T] | Flow[T]) -> T:
        """Make a call, or carry a flow through, and return its result."""
        flow = made(work) if isinstance(work, Call) else work
        groups: dict[Group, Waiting] = {}
        step = advance(flow)
        try:
            while not isinstance(step, Done):
                try:
                    step = advance(
                        flow, self._ended(step, groups) if isinstance(step, Group) else self._perform(step)
                    )
                except TwilioError as error:
                    step = advance(flow, error=error)
        except Exception:
            self._finish(groups)
            raise
        self._finish(groups)
        return step.value

    def close(self) -> None:
        self._session.close()
        if self._loop is not None and self._process == os.getpid():
            self._loop.close()

    def _ended(self, group: Group, groups: dict[Group, Waiting]) -> list[Ended]:
        """Those of a group that have ended since the last time; none once all have."""
        self._mind_forks()
        with self._opening:
            self._loop = self._loop or LoopThread(self._config, self._builder)
        return self._loop.ended(groups.setdefault(group, Waiting(group)))

    def _finish(self, groups: dict[Group, Waiting]) -> None:
        """Wait for what a flow has left under way."""
        for group in groups:
            group.stop()
            while self._ended(group, groups):
                pass

    def _mind_forks(self) -> None:
        """A fork may not share its parent's connections, and has none of its threads, nor what they fetch."""
        if self._process != os.getpid():
            self._session, self._process, self._loop = _session(), os.getpid(), None
            self._builder, self._opening = RequestBuilder(self._config), threading.Lock()

    def _perform(self, step: Call[Any] | Pause | Download | Upload | Aside) -> Any:
        if isinstance(step, Pause):
            return _pause(step)
        if isinstance(step, Aside):
            return step.do()
        if isinstance(step, Download):
            return self._retrying(self._download, step)
        if isinstance(step, Upload):
            return self._retrying(self._upload, step)
        try:
            return self._retrying(self._deliver, step)
        except TwilioError as error:
            raise outcome(step, error) from error.__cause__

    def _deliver(self, call: Call[T]) -> T:
        self._mind_forks()
        exchange = self._builder.deliver(call)
        try:
            step = advance(exchange)
            while not isinstance(step, Done):
                try:
                    answer = self._answer(step)
                except TwilioError as error:
                    step = advance(exchange, error=error)
                else:
                    step = advance(exchange, answer)
            return step.value
        finally:
            exchange.close()  # others may wait for what it has begun

    def _answer(self, step: Request | Pause | Call[Any] | Future[Any]) -> Any:
        if isinstance(step, Request):
            return self._exchange(step)
        return step.result() if isinstance(step, Future) else self._perform(step)

    def _exchange(self, request: Request) -> Reply:
        import requests
        import urllib3

        body = _Body(request.body) if request.body is not None else None
        prepared = requests.PreparedRequest()
        prepared.prepare(request.method, request.url, dict(request.headers), data=body)
        began = time.monotonic()
        try:
            with self._session.send(
                prepared,
                timeout=self._timeout,
                allow_redirects=False,
                **self._environment(request),
            ) as response:
                content = self._read(response, request, began)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            sent = body.touched if body else not _never_connected(error)
            raise lost(request, sent, self._reason(error)) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, headers, content)

    def _read(self, response: requests.Response, request: Request, began: float) -> bytes:
        """The body, as it comes in: a reply that trickles is given up like one that never comes."""
        if response.is_redirect:  # requests has read it, to see where it leads
            return response.content
        read = getattr(response.raw, "read1", response.raw.read)
        content, limit = bytearray(), WHOLE * self._timeout[1]
        while block := read(BLOCK, decode_content=True):
            content += block
            if len(content) > LARGEST:
                raise too_large(request)
            if time.monotonic() - began > limit:
                raise lost(request, True, f"no whole answer within {limit:g} s")
        return bytes(content)

    def _download(self, download: Download) -> int:
        import requests

        prepared = requests.PreparedRequest()
        prepared.prepare("GET", emptied(download).url, {})
        settings = self._session.merge_environment_settings(download.url, {}, True, None, None)
        try:
            with self._session.send(prepared, timeout=self._timeout, **dict[str, Any](settings)) as response:
                if response.status_code != 200:
                    raise unkept(download, response.status_code)
                for block in response.iter_content(BLOCK):
                    download.into.write(block)
        except requests.RequestException as error:
            raise broken(download, self._reason(error)) from None
        return download.into.tell()

    def _upload(self, upload: Upload) -> None:
        import requests

        upload.size()
        prepared = requests.PreparedRequest()
        prepared.prepare("PUT", upload.url, {"Content-Type": upload.content_type}, data=upload.file)
        settings = self._session.merge_environment_settings(upload.url, {}, True, None, None)
        try:
            with self._session.send(
                prepared, timeout=self._timeout, allow_redirects=False, **dict[str, Any](settings)
            ) as response:
                if not 200 <= response.status_code < 300:
                    raise unkept(upload, response.status_code)
        except requests.RequestException as error:
            raise broken(upload, self._reason(error)) from None

    def _reason(self, error: Exception) -> str:
        import requests
        import urllib3

        if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
            return f"no answer within {self._timeout[1]:g} s"
        if _never_connected(error):
            return "the host could not be reached"
        if isinstance(error, requests.exceptions.SSLError):
            return "the TLS connection failed"
        return f"the connection broke ({type(error).__name__})"

    def _environment(self, request: Request) -> dict[str, Any]:
        """Proxies and certificates as the environment says, read once per host and not for every request."""
        if request.product not in self._settings:
            self._settings[request.product] = dict(
                self._session.merge_environment_settings(request.url, {}, True, None, None)
            )
        return self._settings[request.product]


class _Body:
    """A request body that knows whether it was asked for: before that, nothing can have been processed."""

    def __init__(self, content: bytes) -> None:
        self.touched = False
        self._content = content

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        self.touched = True
        yield self._content


def _session() -> requests.Session:
    import requests

    session = requests.Session()
    session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=32))
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=32))
    return session


def _pause(pause: Pause) -> float:
    if pause.seconds > 0:
        time.sleep(pause.seconds)
    return time.time()


def _never_connected(error: Exception) -> bool:
    import requests
    from urllib3.exceptions import NewConnectionError

    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


_clients: Shared[Client] = Shared()


def _key(config: Config) -> tuple[int, Config]:
    return (os.getpid(), config)  # a fork must not share its parent's sockets


@contextmanager
def connected(config: Config) -> Iterator[Client]:
    """The process's client for a connection, for as long as the block lasts."""
    key = _key(config)
    client = _clients.enter(key, lambda: Client(config))
    try:
        yield client
    finally:
        last = _clients.leave(key)
        if last is not None:
            last.close()
