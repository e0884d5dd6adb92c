"""Runner of the classic API's calls on the emulator's core, and their errors, without a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.wire import Call, checked
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.http import Request
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from airflow_provider_twilio_comms.exceptions import ApiError
from tests.emulator.callers import CoreClient

T = TypeVar("T")
TO, FROM = "+12025550100", "+15005550006"
OPTED_OUT, UNKNOWN, NO_RECEIPT = "+12025559610", "+12025559005", "+12025559000"


class CallRunner:
    """A runner of calls with one set of credentials."""

    def __init__(self, twilio: Twilio, login: str = ACCOUNT_SID, password: str = AUTH_TOKEN) -> None:
        self.twilio, self.login = twilio, login
        self.headers = CoreClient(twilio, (login, password)).headers

    def __call__(self, call: Call[T]) -> T:
        target = urlsplit(call.target(self.login))
        content_type, body = call.content()
        headers = {**self.headers, **({"content-type": content_type} if content_type else {})}
        query = parse_qsl(target.query, keep_blank_values=True)
        request = Request(call.method, call.product, unquote(target.path), query, headers, body or b"")
        return checked(call, self.twilio.handle(request))

    def form(self, path: str, form: Sequence[tuple[str, str]], product: str = "api") -> Any:
        """Post a form that no call of ours would send."""
        return self(Call("POST", path, lambda reply: reply.json(), product, form=form))  # type: ignore[arg-type]


def code_of(act: Callable[[], Any]) -> int | None:
    """Return Twilio's code of the error that a function raises."""
    with pytest.raises(ApiError) as caught:
        act()
    assert 400 <= caught.value.status < 500
    return caught.value.code


def refused(run: CallRunner, call: Call[Any]) -> int | None:
    """Return Twilio's code of a refused call."""
    return code_of(lambda: run(call))


def send(run: CallRunner, to: str = TO, **options: Any) -> messages.Message:
    if "from_" not in options and "messaging_service_sid" not in options:
        options["from_"] = FROM
    return run(messages.send(to, **{"body": "Hi", **options}))


def after(twilio: Twilio, seconds: float) -> datetime:
    return datetime.fromtimestamp(twilio.clock.now() + seconds, timezone.utc)
