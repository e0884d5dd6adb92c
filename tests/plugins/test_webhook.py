"""The webhooks' app on a real database: what gets in, once, and what does not."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections import Counter
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, NamedTuple

import pytest

from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.emulator.callbacks import Callback, batch, event, of_message, signed
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.inbound import Arrival, receive
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.plugins.webhooks.app import REREADS
from airflow_provider_twilio_comms.plugins.webhooks.settings import Settings
from airflow_provider_twilio_comms.plugins.webhooks.signature import SETTINGS, SIGNATURE, Secret, signature
from tests.conftest import environment

STORED = pytest.mark.skipif(
    find_spec("airflow.models.asset_state_store") is None, reason="Airflow before 3.3 has no store for it"
)
pytestmark = STORED

PUBLIC = "https://airflow.example.com/twilio"
SERVICE = "MG" + "07" * 16
TWILIO = Twilio()
SETTING = Settings(PUBLIC, conn_id="", secrets=(Secret(AUTH_TOKEN),), max_rate=1e6)


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]


async def ask(
    app: Any, path: str, headers: dict[str, str], body: bytes = b"", method: str = "POST"
) -> Answer:
    """One request to an app, as uvicorn would hand it over; the Host is not the public one."""
    path, _, query = path.partition("?")
    given = [(b"host", b"internal:8080"), *((k.encode(), v.encode("latin-1")) for k, v in headers.items())]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": query.encode(),
        "headers": given,
        "server": ("internal", 8080),
        "client": ("1.2.3.4", 5),
    }
    messages: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return Answer(messages[0]["status"], b"".join(each.get("body", b"") for each in messages[1:]), headers)


async def post(app: Any, callback: Callback) -> Answer:
    return await ask(app, callback.url.removeprefix(PUBLIC), callback.headers, callback.body)


def app(**changes: Any) -> Any:
    from airflow_provider_twilio_comms.plugins.webhooks.app import application

    return application(replace(SETTING, **changes))


def webhooks_of(one: Any) -> Any:
    """What an app's endpoints share."""
    from airflow_provider_twilio_comms.plugins.webhooks.app import Webhooks

    return next(
        each.cell_contents
        for route in one.router.routes
        if route.path == "/inbound"
        for each in route.endpoint.__closure__
        if isinstance(each.cell_contents, Webhooks)
    )


def written(body: str = "Hello there", **others: Any) -> Callback:
    arrival = Arrival(from_="+12025550101", to="+15005550006", body=body, **others)
    return of_message(receive(TWILIO, arrival), f"{PUBLIC}/inbound")


def told(uri: str, text: str = "") -> list[Any]:
    """The asset events of a URI whose extra has a text in it."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        return [
            extra
            for extra in session.scalars(query.where(AssetModel.uri == uri))
            if text in json.dumps(extra)
        ]


def sid_of(callback: Callback) -> str:
    return next(part[11:] for part in callback.body.decode().split("&") if part.startswith("MessageSid="))


@pytest.fixture(autouse=True)
def _known_assets() -> None:
    """As if DAGs were scheduled by them."""
    from airflow.models.asset import AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    uris = [f"twilio://webhook/{name}" for name in ("opt-out", f"inbound/{SERVICE}", "status/delivered")]
    with create_session() as session:
        there = set(session.scalars(select(AssetModel.uri)))
        session.add_all(AssetModel(name=uri, uri=uri, group="asset") for uri in uris if uri not in there)


async def test_an_inbound_webhook_becomes_one_asset_event_without_a_number_or_text() -> None:
    callback = written("My secret is out", service_sid=SERVICE)
    answer = await post(app(), callback)
    assert (answer.status, answer.body) == (204, b"")
    for uri in ("twilio://webhook/inbound", f"twilio://webhook/inbound/{SERVICE}"):
        (extra,) = told(uri, sid_of(callback))
        assert set(extra["payload"]) == {"sid", "service_sid", "sender", "opt_out", "media"}
        assert "555" not in json.dumps(extra).replace(extra["payload"]["sender"], "")
        assert "secret" not in json.dumps(extra)
    assert told("twilio://webhook/opt-out", sid_of(callback)) == []


@pytest.mark.parametrize("word", ["STOP", " stop ", "Unsubscribe"])
async def test_a_stop_by_webhook_is_told_as_an_opt_out(word: str) -> None:
    callback = written(word)
    await post(app(), callback)
    (extra,) = told("twilio://webhook/opt-out", sid_of(callback))
    assert extra["payload"]["opt_out"] == "STOP"


async def test_each_status_by_webhook_is_told_once() -> None:
    message = receive(TWILIO, Arrival(from_="+15005550006", to="+12025550101"))
    one = app()
    for status in ("queued", "sent", "delivered", "sent", "delivered"):
        assert (await post(one, of_message(message, f"{PUBLIC}/status", status))).status == 204
    assert len(told("twilio://webhook/status", message.sid)) == 3
    assert len(told("twilio://webhook/status/delivered", message.sid)) == 1


async def test_a_webhook_with_a_batch_tells_each_event_once() -> None:
    first = secrets.randbits(100)
    kind = "com.twilio.comms-api.operation.completed"
    events = [event(kind, {"operation_id": f"op{first}", "to": "+12025550101"}, first + i) for i in range(20)]
    one = app()
    assert (await post(one, batch(f"{PUBLIC}/events", events))).status == 204
    later = [*events[10:], event(kind, {"operation_id": f"op{first}"}, first + 99)]
    assert (await post(app(), batch(f"{PUBLIC}/events", later))).status == 204
    found = told("twilio://webhook/events", f"op{first}")
    assert len(found) == 21
    assert "2025550101" not in json.dumps(found)
    as_text = {**event(kind, {}, first + 200), "data": json.dumps({"operation_id": f"text{first}"})}
    assert (await post(one, batch(f"{PUBLIC}/events", [as_text]))).status == 204
    assert len(told("twilio://webhook/events", f"text{first}")) == 1


async def test_a_repeated_webhook_is_dropped_in_every_process_and_whatever_its_token() -> None:
    callback = written()
    for _ in range(3):
        one = app()  # another process: nothing in memory
        for token in ("a", "b"):
            again = callback._replace(headers={**callback.headers, "i-twilio-idempotency-token": token})
            assert (await post(one, again)).status == 204
    assert len(told("twilio://webhook/inbound", sid_of(callback))) == 1


async def test_webhooks_that_tell_the_same_at_once_are_one() -> None:
    callback, apps = written(), [app() for _ in range(4)]
    answers = await asyncio.gather(*(post(one, callback) for one in apps for _ in range(5)))
    assert {answer.status for answer in answers} == {204}
    assert len(told("twilio://webhook/inbound", sid_of(callback))) == 1


async def test_an_idempotency_token_keeps_no_other_webhook_out() -> None:
    """It is not signed: somebody could send a request they saw with the token of one to come."""
    one, first, second = app(), written(), written()
    token = {"i-twilio-idempotency-token": "same"}
    for callback in (first, second):
        await post(one, callback._replace(headers={**callback.headers, **token}))
        assert len(told("twilio://webhook/inbound", sid_of(callback))) == 1


async def test_ten_thousand_forged_or_replayed_webhooks_and_none_gets_in() -> None:
    one, genuine = app(), written()
    assert (await post(one, genuine)).status == 204
    before = len(told("twilio://webhook/inbound"))
    statuses = {204: 0, 403: 0}
    for number in range(10_000):
        match number % 5:
            case 0:
                callback = genuine
            case 1:
                callback = genuine._replace(body=genuine.body + b"&x=%d" % number)
            case 2:
                callback = genuine._replace(headers={**genuine.headers, SIGNATURE: secrets.token_urlsafe(20)})
            case 3:
                callback = signed(f"{PUBLIC}/inbound", [("MessageSid", f"SM{number:032x}")], "wrong token")
            case _:
                callback = genuine._replace(url=f"{PUBLIC}/status")
        answer = await post(one, callback)
        statuses[answer.status] += 1
    assert statuses == {204: 2000, 403: 8000}
    assert len(told("twilio://webhook/inbound")) == before


async def test_whatever_is_no_genuine_webhook_is_refused() -> None:
    one, callback = app(), written()
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        assert (await ask(one, "/inbound", callback.headers, method=method)).status == 403
    for path in ("/", "/other", "/inbound/x", "/docs", "/openapi.json"):
        assert (await ask(one, path, callback.headers, callback.body)).status == 403
    assert (await ask(one, "/inbound", {}, callback.body)).status == 403
    assert (await ask(one, "/inbound?x=1", callback.headers, callback.body)).status == 403
    forwarded = {**callback.headers, "x-forwarded-host": "airflow.example.com", "x-forwarded-proto": "https"}
    elsewhere = app(public_url="https://other.example.com/twilio")
    assert (await ask(elsewhere, "/inbound", forwarded, callback.body)).status == 403
    assert told("twilio://webhook/inbound", sid_of(callback)) == []


async def test_a_shared_key_signs_webhooks_and_the_auth_token_then_does_not() -> None:
    shared = Secret("a shared secret", "webhooks_sharedkey_7", "HMAC_SHA256")
    one, callback = app(secrets=(shared,)), written()
    assert (await post(one, callback)).status == 403
    sid = "SM" + secrets.token_hex(16)
    pairs = [("MessageSid", sid), ("From", "+12025550101"), ("Body", "Hi")]
    own = signed(f"{PUBLIC}/inbound", pairs)
    own.headers[SIGNATURE] = signature(shared, own.url, pairs)
    own.headers[SETTINGS] = "key=webhooks_sharedkey_7,algorithm=HMAC_SHA256"
    assert (await post(one, own)).status == 204
    assert len(told("twilio://webhook/inbound", sid)) == 1


async def test_the_size_and_rate_of_webhooks_are_bounded() -> None:
    one = app(max_body=1000, max_rate=1.0)
    assert (await post(one, written("x" * 1000))).status == 413
    large = written("x" * 1000)
    large.headers["content-length"] = str(10**12)
    assert (await post(one, large)).status == 413
    slow = app(max_rate=0.05)  # the next turn is in 20 s, which is longer than Twilio waits
    answers = [await post(slow, written()) for _ in range(3)]
    assert [answer.status for answer in answers] == [204, 503, 503]
    assert int(answers[-1].headers["retry-after"]) in (19, 20)


async def test_webhooks_beyond_the_rate_wait_for_their_turn() -> None:
    one = app(max_rate=20.0)
    answers = await asyncio.gather(*(post(one, written()) for _ in range(60)))
    assert Counter(answer.status for answer in answers) == {204: 60}


async def test_a_burst_of_two_thousand_webhooks_is_taken_whole() -> None:
    one, burst = app(max_rate=Settings(PUBLIC).max_rate), secrets.token_hex(8)
    sids = [f"SM{burst}{number:016x}" for number in range(2000)]
    callbacks = (signed(f"{PUBLIC}/status", [("MessageSid", sid), ("MessageStatus", "sent")]) for sid in sids)
    answers = await asyncio.gather(*(post(one, callback) for callback in callbacks))
    assert Counter(answer.status for answer in answers) == {204: 2000}
    assert sorted(each["payload"]["sid"] for each in told("twilio://webhook/status", burst)) == sids


def rotate(token: str) -> Any:
    connection = {"conn_type": "twilio", "login": ACCOUNT_SID, "password": token}
    return environment(AIRFLOW_CONN_TWILIO_ROTATED=json.dumps(connection))


@pytest.mark.parametrize("at_once", [1, 100])
async def test_a_rotated_token_signs_webhooks_at_once_and_the_old_one_does_not(at_once: int) -> None:
    one = app(conn_id="twilio_rotated", secrets=())

    async def statuses(token: str) -> set[int]:
        pairs = [("From", "+12025550101"), ("Body", "Hi")]
        sids = ["SM" + secrets.token_hex(16) for _ in range(at_once)]
        requests = (signed(f"{PUBLIC}/inbound", [("MessageSid", sid), *pairs], token) for sid in sids)
        return {answer.status for answer in await asyncio.gather(*(post(one, each) for each in requests))}

    with rotate("old" * 10):
        assert await statuses("old" * 10) == {204}
        assert await statuses("new" * 10) == {403}
    with rotate("new" * 10):
        assert await statuses("new" * 10) == {204}
        assert await statuses("old" * 10) == {403}


async def test_forged_webhooks_have_the_connection_read_seldom() -> None:
    class Counted:
        reads = 0

        def config_of(self, conn_id: str) -> Config:
            self.reads += 1
            return store.config_of(conn_id)

    with rotate(AUTH_TOKEN):
        one = app(conn_id="twilio_rotated", secrets=())
        store, webhooks = webhooks_of(one)._core, webhooks_of(one)
        webhooks._core = counted = Counted()
        forged = signed(f"{PUBLIC}/inbound", [("MessageSid", "SM1")], "wrong token")
        for _ in range(300):
            assert (await post(one, forged)).status == 403
    assert counted.reads <= 1 + REREADS + 2


async def test_a_webhook_that_cannot_be_stored_takes_no_others_with_it() -> None:
    one = app()
    webhooks = webhooks_of(one)
    store, bad = webhooks._core, "SM" + secrets.token_hex(16)

    class Picky:
        def taken(self, things: Any, **options: Any) -> int:
            if any(thing.extra["sid"] == bad for thing in things):
                raise ValueError("this one")
            return int(store.taken(things, **options))

    webhooks._core = Picky()
    pairs = [("From", "+12025550101"), ("Body", "Hi")]
    sids = [*("SM" + secrets.token_hex(16) for _ in range(40)), bad]
    requests = (signed(f"{PUBLIC}/inbound", [("MessageSid", sid), *pairs]) for sid in sids)
    answers = await asyncio.gather(*(post(one, each) for each in requests))
    assert [answer.status for answer in answers] == [204] * 40 + [503]
    assert all(told("twilio://webhook/inbound", sid) for sid in sids[:40])


async def test_connection_overrides_are_no_part_of_what_is_signed() -> None:
    """Twilio takes the fragment off the address before it signs and sends."""
    one = app()
    for overrides in ("#rc=5&rp=all", "#ct=2000&rt=15000&tt=15000&rc=3&rp=5xx,ct,rt&e=dublin"):
        message = receive(TWILIO, Arrival(from_="+12025550101", to="+15005550006"))
        callback = of_message(message, f"{PUBLIC}/inbound{overrides}")
        assert (callback.url, f"#{callback.overrides}") == (f"{PUBLIC}/inbound", overrides)
        assert (await post(one, callback)).status == 204
        number = secrets.randbits(100)
        events = batch(f"{PUBLIC}/events{overrides}", [event("com.twilio.x", {}, number)])
        assert (await post(one, events)).status == 204
    with pytest.raises(InvalidInput, match="webhook_public_url"), options(public_url=f"{PUBLIC}#rc=5&rp=all"):
        Settings.read()


def options(**values: str) -> Any:
    return environment(
        **{f"AIRFLOW__TWILIO__WEBHOOK_{name.upper()}": value for name, value in values.items()}
    )


async def test_a_genuine_webhook_that_cannot_be_read_is_no_crash() -> None:
    one = app()
    assert (await post(one, signed(f"{PUBLIC}/inbound", [("Other", "1")]))).status == 400
    assert (
        await post(one, signed(f"{PUBLIC}/status", [("MessageSid", "SM1"), ("MessageStatus", "../x")]))
    ).status == 400
    assert (await post(one, batch(f"{PUBLIC}/events", [{"no": "id"}]))).status == 400


async def test_a_webhook_that_cannot_be_stored_is_not_answered_with_204(caplog: Any) -> None:
    class Broken:
        def taken(self, _: Any) -> int:
            raise OSError("the database is away")

    one, callback = app(), written()
    webhooks = webhooks_of(one)
    working, webhooks._core = webhooks._core, Broken()
    with caplog.at_level(logging.CRITICAL):
        answer = await post(one, callback)
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    webhooks._core = working
    assert (await post(one, callback)).status == 204
    assert len(told("twilio://webhook/inbound", sid_of(callback))) == 1
