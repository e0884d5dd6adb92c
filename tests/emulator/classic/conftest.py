"""Calls made on the core itself: no network, a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from airflow_provider_twilio_comms.api.wire import Call, checked
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.http import Request
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from tests.emulator.asking import Asking

T = TypeVar("T")


class Made:
    """Makes calls with one set of credentials."""

    def __init__(self, twilio: Twilio, login: str = ACCOUNT_SID, password: str = AUTH_TOKEN) -> None:
        self.twilio, self.login = twilio, login
        self.headers = Asking(twilio, (login, password)).headers

    def __call__(self, call: Call[T]) -> T:
        target = urlsplit(call.target(self.login))
        content_type, body = call.content()
        headers = {**self.headers, **({"content-type": content_type} if content_type else {})}
        query = parse_qsl(target.query, keep_blank_values=True)
        request = Request(call.method, call.product, unquote(target.path), query, headers, body or b"")
        return checked(call, self.twilio.handle(request))

    def form(self, path: str, form: Sequence[tuple[str, str]], product: str = "api") -> Any:
        """A form that no call of ours would send."""
        return self(Call("POST", path, lambda reply: reply.json(), product, form=form))  # type: ignore[arg-type]


@pytest.fixture
def run(twilio: Twilio) -> Made:
    return Made(twilio)


@pytest.fixture
def as_someone(twilio: Twilio) -> Callable[[str, str], Made]:
    return lambda login, password: Made(twilio, login, password)
