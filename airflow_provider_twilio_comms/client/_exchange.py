"""Build the requests of a call: address, headers, token, limits, and the reading of the reply.

Pure, and shared by both transports: a generator that yields a ``Request`` to have it exchanged for a
``Reply``, a ``Pause`` to learn the time, a ``Call`` to have it made (and repeated, where it may be), or a
``Future`` to have its result.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

import airflow_provider_twilio_comms
from airflow_provider_twilio_comms.api import oauth
from airflow_provider_twilio_comms.api.flows import Pause
from airflow_provider_twilio_comms.api.wire import Call, checked
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.exceptions import ServerFailed, TransportFailed, TwilioError

T = TypeVar("T")

EARLY = 60.0  # seconds before its end at which an access token is no longer used
LARGEST = 64 * 1024 * 1024  # bytes of a reply; a page of Twilio's largest lists has some 3 MB
WHOLE = 4.0  # times the connection's timeout that a whole exchange may take, body and reply included


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """A request as it goes on the wire."""

    method: str
    url: str
    product: str
    headers: Mapping[str, str]
    body: bytes | None


def lost(request: Request, sent: bool, what: str) -> TransportFailed:
    """The error of a request that got no reply. Names the host only: a query may hold a phone number.

    Where it was to fetch an access token, the call that needs one has not been sent.
    """
    sent = sent and request.product != "oauth"
    return TransportFailed(f"{request.method} {request.url.split('/')[2]}: {what}", sent=sent)


def too_large(request: Request) -> TransportFailed:
    """The error of a reply that has no end, or none that is worth waiting for."""
    return lost(request, True, f"the reply is larger than {LARGEST // 2**20} MiB")


@dataclass
class RequestBuilder:
    """Makes the requests of one client's calls, and keeps its access token, if it uses one.

    Threads and tasks may share it. Of the calls that need a token, one fetches it, and the others wait for
    that and have its token, or its error: no more is asked of Twilio than by one alone.
    """

    config: Config
    _token: str = field(default="", repr=False)
    _until: float = 0.0
    _fetch: Future[str | TwilioError | None] | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _urls: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)  # of paths without values

    def deliver(self, call: Call[T]) -> Exchange[T]:
        """Yield the requests that a call takes, and return what its reply says.

        Raises :class:`Refused` for a call that the connection forbids, :class:`ApiError` for Twilio's errors.
        """
        self.config.permit(call)
        if call.product == "oauth":  # its form has the credentials
            return checked(call, (yield self._request(call, None)))
        if not self.config.uses_oauth:
            return checked(call, (yield self._request(call, self.config.basic)))
        token = yield from self._access_token()
        reply = yield self._request(call, f"Bearer {token}")
        if reply.status == 401:  # revoked or rotated before its time: one new token, once
            with self._lock:
                if self._token == token:  # else another call has had a new one since
                    self._until = 0.0
            token = yield from self._access_token()
            reply = yield self._request(call, f"Bearer {token}")
        return checked(call, reply)

    def _request(self, call: Call[Any], authorization: str | None) -> Request:
        content_type, body = call.content()
        headers = _headers(authorization, content_type)
        if call.headers:
            headers = {**headers, **dict(call.headers)}
        return Request(call.method, self._url(call), call.product, headers, body)

    def _url(self, call: Call[Any]) -> str:
        """The address of a call, made once where all calls have the same."""
        if call.path_values or call.query:
            return self.config.url(call)
        key = call.product, call.path
        if key not in self._urls:
            self._urls[key] = self.config.url(call)
        return self._urls[key]

    def _access_token(self) -> Exchange[str]:
        """Get an access token that is good for a while yet; fetch it, unless another call does."""
        while True:
            time = yield Pause(0)
            with self._lock:
                if time < self._until:
                    return self._token
                fetch, own = self._fetch, self._fetch is None
                if fetch is None:
                    fetch = self._fetch = Future()
            found = (yield from self._fetched(fetch, time)) if own else (yield fetch)
            if isinstance(found, TwilioError):
                error = TwilioError.from_dict(found.to_dict())
                error.exhausted = True
                raise error from found
            if found is not None:  # else whoever fetched it was stopped
                return str(found)

    def _fetched(self, fetch: Future[str | TwilioError | None], time: float) -> Exchange[str | TwilioError]:
        """Fetch a token for all that wait for ``fetch``; gives the error where there is none."""
        found: str | TwilioError | None = None
        lifetime = 0.0
        try:
            token = yield oauth.token(self.config.login, self.config.secret)
            found, lifetime = token.access_token, token.expires_in
        except ServerFailed as error:  # the call that needs the token has not been sent
            found = TransportFailed(f"no access token: {error}", sent=False)
        except TwilioError as error:
            found = error
        finally:  # in any case, or the others would wait for ever
            with self._lock:
                self._fetch = None
                if isinstance(found, str):
                    self._token, self._until = found, time + lifetime - EARLY
            fetch.set_result(found)
        return found


@lru_cache(maxsize=16)
def _headers(authorization: str | None, content_type: str | None) -> Mapping[str, str]:
    """The headers of a request, which most have in common."""
    headers = {"Accept": "application/json", "User-Agent": _USER_AGENT}
    if authorization:
        headers["Authorization"] = authorization
    if content_type:
        headers["Content-Type"] = content_type
    return headers


Exchange: TypeAlias = Generator["Request | Pause | Call[Any] | Future[Any]", Any, T]
_USER_AGENT = f"airflow-provider-twilio-comms/{airflow_provider_twilio_comms.__version__}"
