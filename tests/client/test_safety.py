"""The rule of safety, as a table: what may be made again, and what a send that may have happened becomes."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.client.retry import may_repeat, outcome, untouched
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    AuthenticationFailed,
    InvalidInput,
    RateLimited,
    Refused,
    SendUncertain,
    ServerFailed,
    TransportFailed,
    TwilioError,
)


def call(method: str, effect: Any = None) -> Call[None]:
    return Call(method, "/x", lambda reply: None, effect=effect)  # type: ignore[arg-type]


CALLS = {
    "GET": call("GET"),
    "PUT": call("PUT"),
    "DELETE": call("DELETE"),
    "POST that reads": call("POST", "reads"),
    "POST that writes": call("POST"),
    "PATCH": call("PATCH"),
    "send": call("POST", "sends"),
}
ALWAYS = set(CALLS)
REPEATABLE = {"GET", "PUT", "DELETE", "POST that reads"}
NEVER: set[str] = set()


def server(status: int, code: int | None = None, retry_after: float | None = None) -> ServerFailed:
    return ServerFailed(f"{status}", status=status, code=code, retry_after=retry_after)


# error -> the calls that are made again after it
TABLE: list[tuple[str, BaseException, set[str]]] = [
    ("never left", TransportFailed("x", sent=False), ALWAYS),
    ("no reply", TransportFailed("x", sent=True), REPEATABLE),
    ("429 of Twilio", RateLimited("x", status=429, code=20429), ALWAYS),
    ("429, come back soon", RateLimited("x", status=429, code=20429, retry_after=300.0), ALWAYS),
    ("429, come back tomorrow", RateLimited("x", status=429, code=20429, retry_after=86400.0), NEVER),
    ("429 of a proxy", server(429), REPEATABLE),
    ("429 of a proxy, come back soon", server(429, None, 1.0), REPEATABLE),
    ("503, come back soon", server(503, 20503, 1.0), ALWAYS),
    ("503, come back at once", server(503, 20503, 0.0), ALWAYS),
    ("503, come back tomorrow", server(503, 20503, 86400.0), NEVER),
    ("503 without Retry-After", server(503, 20503), REPEATABLE),
    ("503 of a proxy, come back soon", server(503, None, 1.0), REPEATABLE),
    ("503 of a proxy in JSON, come back soon", server(503, 503, 1.0), REPEATABLE),
    ("500", server(500, 20500), REPEATABLE),
    ("500, come back soon", server(500, 20500, 1.0), REPEATABLE),
    ("500, come back tomorrow", server(500, 20500, 86400.0), NEVER),
    ("502", server(502), REPEATABLE),
    ("504", server(504), REPEATABLE),
    ("unreadable", server(200), REPEATABLE),
    ("a redirect", server(302), REPEATABLE),
    ("400", ApiError("x", status=400, code=20001), NEVER),
    ("404", ApiError("x", status=404, code=20404), NEVER),
    ("409", ApiError("x", status=409, code=20409), NEVER),
    ("401", AuthenticationFailed("x", status=401, code=20003), NEVER),
    ("refused here", Refused("x"), NEVER),
    ("bad input", InvalidInput("x"), NEVER),
    ("rows of elsewhere", TwilioError("x"), NEVER),
    ("a bug", KeyError("x"), NEVER),
    ("the user", KeyboardInterrupt(), NEVER),
]


@pytest.mark.parametrize(("error", "repeated"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_may_be_made_again(error: BaseException, repeated: set[str]) -> None:
    assert {name for name, each in CALLS.items() if may_repeat(each, error)} == repeated


@pytest.mark.parametrize(("error", "repeated"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_send_that_may_have_happened_is_uncertain(error: BaseException, repeated: set[str]) -> None:
    ambiguous = isinstance(error, TransportFailed | ServerFailed) and not untouched(error)
    became = outcome(CALLS["send"], error)
    assert isinstance(became, SendUncertain) == ambiguous
    assert ambiguous or became is error
    for name in ALWAYS - {"send"}:
        assert outcome(CALLS[name], error) is error


def test_an_uncertain_send_is_never_repeated() -> None:
    for _, error, _ in TABLE:
        if isinstance(outcome(CALLS["send"], error), SendUncertain):
            assert not may_repeat(CALLS["send"], error)


def test_what_an_uncertain_send_says() -> None:
    uncertain = outcome(CALLS["send"], server(500))
    assert isinstance(uncertain, SendUncertain)
    assert uncertain.part == "/x"
    assert "may or may not have taken" in str(uncertain)
