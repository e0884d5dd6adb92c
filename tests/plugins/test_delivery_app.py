"""The delivery view's pages on a real database, asked for by users of different rights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

pytest.importorskip("airflow.models.task_state_store", reason="Airflow before 3.3 has no state store to seed")

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.utils.session import create_session
from sqlalchemy import event
from sqlalchemy.engine import Engine

from airflow_provider_twilio_comms.plugins.delivery.app import FOLDER
from airflow_provider_twilio_comms.plugins.delivery.plugin import PREFIX, TwilioDeliveryPlugin
from tests.conftest import environment
from tests.plugins.seeds import Seeds, entry, head, now, operation, stats
from tests.plugins.test_webhook import Answer, ask

ROLES = {"ann": "admin", "vic": "viewer", "olaf": "op", "tim": "viewer", "nina": "", "xena": "viewer"}


class Choosy(SimpleAuthManager):
    """Airflow's simple auth manager, but Tim may read one DAG only, and Xena the XComs of one only."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **asked: Any) -> bool:
        named = details.id if details else None
        if user.username == "tim" and named not in (None, "seen"):
            return False
        if (
            user.username == "xena"
            and named == "campaigns"
            and asked.get("access_entity") == DagAccessEntity.XCOM
        ):
            return False
        return super().is_authorized_dag(user=user, details=details, **asked)


@pytest.fixture(scope="module", autouse=True)
def view() -> Iterator[Any]:
    """The app, with 1,001 operations of one DAG and a send of another."""
    from airflow.api_fastapi.app import init_auth_manager, purge_cached_app

    with create_session(scoped=False) as session:
        seeds = Seeds(session)
        seeds.forget()  # what other tests have run
        seeds.known("campaigns")
        seeds.campaigns("campaigns", now())
        seeds.known("seen")
        seeds.task("seen", "r 1", "send", now() - timedelta(hours=1), xcoms=sent(1, {"stats": stats(10)}))
        seeds.task("seen", "r 1", "other", now(), xcoms={"return_value": {"operation_ids": [operation(1)]}})
    settings = {
        "AIRFLOW__CORE__AUTH_MANAGER": f"{__name__}.Choosy",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__API_AUTH__JWT_SECRET": "long enough " * 8,
    }
    purge_cached_app()
    with environment(**settings):
        init_auth_manager()
        (mounted,) = TwilioDeliveryPlugin().fastapi_apps
        assert mounted["url_prefix"] == PREFIX
        yield mounted["app"]
    purge_cached_app()
    with create_session(scoped=False) as session:
        Seeds(session).forget("campaigns", "seen")


def sent(number: int, returned: dict[str, Any]) -> dict[str, Any]:
    ids = {"operation_ids": [operation(900_000 + number)], "recipients": 10, "rejected": 0}
    return {"twilio_sent": ids, "twilio_messages_url": "https://x", "return_value": {**ids, **returned}}


async def get(view: Any, path: str, user: str | None = "vic") -> Answer:
    from airflow.api_fastapi.app import get_auth_manager

    headers = {}
    if user:
        token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=user, role=ROLES[user]))
        headers["cookie"] = f"_token={token}"
    return await ask(view, path, headers, method="GET")


@contextmanager
def statements() -> Iterator[list[str]]:
    """Return what the database is asked for while the block lasts."""
    asked: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def rows(answer: Answer, table: str) -> list[str]:
    found = re.search(rf'<table id="{table}"[^>]*>.*?<tbody>(.*?)</tbody>', answer.body.decode(), re.DOTALL)
    assert found, answer.body.decode()[:2000]
    return found[1].split("<tr>")[1:]


def cards(answer: Answer) -> dict[str, str]:
    return dict(re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", answer.body.decode()))


async def test_the_overview_adds_everything_up(view: Any) -> None:
    answer = await get(view, "/?days=7&dag_id=campaigns")
    assert answer.status == 200
    assert cards(answer) == {
        "operations in flight": "50",
        "operations done": "951",
        "messages delivered": "910,833",
        "messages failed": "39,167",
        "messages open": "51,000",
        "requests uncertain": "1",
    }
    assert len(rows(answer, "sends")) == 21
    codes = re.findall(r"docs/api/errors/(\d+)", "".join(rows(answer, "failures")))
    assert codes == ["30003", "30005", "21610"]
    assert len(rows(answer, "over-time")) >= 20
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


async def test_a_thousand_operations_are_shown_at_once(view: Any) -> None:
    await get(view, "/")
    with statements() as asked:
        answer = await get(view, "/")
    assert len(asked) < 15
    assert len(answer.body) < 100_000


async def test_of_very_many_tasks_the_newest_are_shown_a_page_at_a_time(view: Any) -> None:
    with create_session(scoped=False) as session:
        seeds = Seeds(session)
        for number in range(1_010):
            at = now() - timedelta(days=20, seconds=number)
            xcoms = sent(number, {"stats": stats(10)})
            seeds.task("seen", f"old {number // 100}", "send", at, map_index=number, xcoms=xcoms)
    with statements() as asked:
        answer = await get(view, "/?days=30&dag_id=seen&page=2")
    assert len(asked) < 15
    assert b"These are the newest 1,000 tasks" in answer.body or b"the newest 1,000 tasks" in answer.body
    assert len(rows(answer, "sends")) == 50
    assert b"51 to 100 of" in answer.body
    with create_session(scoped=False) as session:
        Seeds(session).forget(runs="old %")


async def test_an_empty_overview_is_a_sentence(view: Any) -> None:
    answer = await get(view, "/?days=1&dag_id=no_such_dag")
    assert answer.status == 200
    sentence = re.search(r'<p class="note card" id="empty">(.*?)</p>', answer.body.decode(), re.DOTALL)
    assert sentence
    assert sentence[1] == "No task of a DAG that you may read has sent anything through Twilio in this time."
    assert b"<svg" not in answer.body
    assert b"<table" not in answer.body


async def test_tasks_are_filtered_by_state(view: Any) -> None:
    waiting = await get(view, "/?state=waiting")
    assert len(rows(waiting, "sends")) == 1
    assert "data-going" in waiting.body.decode()
    answer = await get(view, "/?state=failed&days=1&page=7")
    assert [("uncertain" in row) for row in rows(answer, "sends")] == [True]
    for odd in ("/?days=x&page=-1&state=%22%3E", "/?days=9999999999999&page=1&dag_id=%3Cb%3E"):
        answer = await get(view, odd)
        assert answer.status == 200
        assert b"<b>" not in answer.body


@pytest.mark.parametrize("user", ["ann", "vic", "olaf"])
async def test_who_may_read_dags_sees_what_they_sent(view: Any, user: str) -> None:
    assert len(rows(await get(view, "/", user), "sends")) == 22


async def test_nobody_sees_dags_that_they_may_not_read(view: Any) -> None:
    answer = await get(view, "/", "tim")
    assert answer.status == 200
    (row,) = rows(answer, "sends")
    assert "seen / send" in row
    assert b"campaigns" not in answer.body
    assert cards(answer)["messages delivered"] == "10"
    assert (await get(view, "/?dag_id=campaigns", "tim")).status == 403
    path = "/task?dag_id=campaigns&run_id=manual__000&task_id=send"
    assert (await get(view, path, "tim")).status == 403
    assert (await get(view, path, "vic")).status == 200


async def test_nobody_sees_dags_whose_xcoms_they_may_not_read(view: Any) -> None:
    answer = await get(view, "/", "xena")
    assert answer.status == 200
    assert b"campaigns" not in answer.body
    assert cards(answer)["messages delivered"] == "10"
    path = "/task?dag_id=campaigns&run_id=manual__000&task_id=send"
    for asked in ("/?dag_id=campaigns", path):
        assert (await get(view, asked, "xena")).status == 403


@pytest.mark.parametrize(("user", "status"), [(None, 401), ("nina", 403)])
@pytest.mark.parametrize("path", ["/", "/task?dag_id=seen&run_id=r+1&task_id=send", "/?dag_id=seen"])
async def test_nobody_else_gets_in(view: Any, user: str | None, status: int, path: str) -> None:
    answer = await get(view, path, user)
    assert answer.status == status
    assert b"seen" not in answer.body
    assert "content-security-policy" in answer.headers


async def test_a_task_is_shown_with_its_requests(view: Any) -> None:
    answer = await get(view, "/task?dag_id=campaigns&run_id=manual__015&task_id=send&map_index={MAP_INDEX}")
    text = answer.body.decode()
    assert "50 operations, 50,000 recipients, 3 left out" in text
    assert "Recipients accepted by Twilio, over time" in text
    assert 'aria-label="Accepted by Twilio over time: 50,000 recipients"' in text
    assert operation(750) in rows(answer, "parts")[0]
    assert 'href="/dags/campaigns/runs/manual__015/tasks/send"' in text
    assert 'aria-label="' in text.split('id="outcome"')[1].split("</figure>")[0]
    uncertain = await get(view, "/task?dag_id=campaigns&run_id=manual__uncertain&task_id=send")
    assert ["uncertain" in row for row in rows(uncertain, "parts")] == [False, True]


async def test_receipts_of_another_run_explain_a_tasks_failures(view: Any) -> None:
    with create_session(scoped=False) as session:
        seeds, at = Seeds(session), now() - timedelta(hours=2)
        xcoms = sent(77, {"stats": stats(10, failed=4)})
        seeds.task("seen", "r 2", "send", at, xcoms=xcoms)
        ids = xcoms["twilio_sent"]["operation_ids"]
        told = {"operation_ids": ids, "codes": {"30003": 3, "30007": 1}, "complete": True}
        seeds.task("seen", "r 3", "receipts", at + timedelta(hours=1), xcoms={"twilio_outcome": told})
    answer = await get(view, "/task?dag_id=seen&run_id=r+2&task_id=send", "tim")
    assert re.findall(r"docs/api/errors/(\d+)", answer.body.decode()) == ["30003", "30007"]


async def test_receipts_that_a_hidden_dag_has_read_explain_nothing(view: Any) -> None:
    with create_session(scoped=False) as session:
        seeds, at = Seeds(session), now() - timedelta(hours=2)
        xcoms = sent(66, {"stats": stats(10, failed=4)})
        seeds.task("seen", "hidden receipts", "send", at, xcoms=xcoms)
        told = {"operation_ids": xcoms["twilio_sent"]["operation_ids"], "codes": {"30008": 4}}
        seeds.task("campaigns", "hidden receipts", "receipts", now(), xcoms={"twilio_outcome": told})
    task = "/task?dag_id=seen&run_id=hidden+receipts&task_id=send"
    for path in ("/", task):
        assert b"errors/30008" in (await get(view, path, "vic")).body
        answer = await get(view, path, "tim")
        assert answer.status == 200
        assert b"errors/30008" not in answer.body
    with create_session(scoped=False) as session:
        Seeds(session).forget(runs="hidden receipts")


async def test_tiles_chart_table_and_label_count_the_same(view: Any) -> None:
    with create_session(scoped=False) as session:
        seeds, at = Seeds(session), now() - timedelta(hours=2)
        xcoms = sent(88, {"stats": stats(10, failed=4, queued=1)})
        seeds.task("seen", "r 5", "send", at, xcoms=xcoms)
        known = {"operation_ids": xcoms["twilio_sent"]["operation_ids"], "stats": stats(10, failed=4)}
        seeds.task("seen", "r 5", "receipts", at, xcoms={"twilio_outcome": {**known, "codes": {"30003": 4}}})
        seeds.task("seen", "r 5", "wait", at, xcoms={"twilio_messages_url": "x", "return_value": known})
    for asked in ("/", "/?dag_id=seen", "/?dag_id=seen&days=1", "/?days=30"):
        answer = await get(view, asked)
        tiles = [
            cards(answer)[f"messages {name}"].replace(",", "") for name in ("delivered", "failed", "open")
        ]
        told = r"([\d,]+) delivered, ([\d,]+) failed, ([\d,]+) open"
        text = answer.body.decode()
        columns = re.findall(rf"<title>[^<]*: {told}</title>", text)
        table = [re.findall(r'class="number">([\d,]+)', row) for row in rows(answer, "over-time")]
        label = re.findall(rf'aria-label="Messages over time: {told}"', text)
        assert [added(columns), added(table), added(label)] == [[int(each) for each in tiles]] * 3


def added(counted: list[Any]) -> list[int]:
    """Sum up rows of numbers as the page writes them."""
    return [sum(int(each.replace(",", "")) for each in column) for column in zip(*counted, strict=True)]


async def test_a_task_that_sends_nothing_is_told_so(view: Any) -> None:
    for task in ("other", "none"):
        answer = await get(view, f"/task?dag_id=seen&run_id=r+1&task_id={task}")
        assert answer.status == 200
        assert b"has sent nothing" in answer.body
    assert (await get(view, "/task?dag_id=seen")).status == 404
    assert (await get(view, "/elsewhere")).status == 404


async def test_a_task_that_failed_before_it_sent_is_shown_with_its_error(view: Any) -> None:
    error = "InvalidInput: row 1, phone: has no country code. Write +1202..., or set default_region"
    with create_session(scoped=False) as session:
        xcoms = {"twilio_outcome": {"error": error}}
        Seeds(session).task("seen", "r 6", "refused", now(), "failed", xcoms=xcoms)
    (row,) = [
        each for each in rows(await get(view, "/?dag_id=seen&state=failed"), "sends") if "refused" in each
    ]
    assert error in row
    assert "sent nothing" in row
    answer = await get(view, "/task?dag_id=seen&run_id=r+6&task_id=refused")
    assert error in answer.body.decode()
    assert b"<svg" not in answer.body
    with create_session(scoped=False) as session:
        Seeds(session).forget(runs="r 6")


async def test_an_answered_question_is_done(view: Any) -> None:
    asked = {"twilio_sent": ["SM" + "1" * 32, "SM" + "2" * 32]}
    with create_session(scoped=False) as session:
        seeds = Seeds(session)
        seeds.task("seen", "r 7", "asked", now(), "deferred", xcoms=asked)
        answer = {"option": "NO", "via": "text", "answered_by": "Ada"}
        seeds.task("seen", "r 7", "answered", now(), xcoms={**asked, "return_value": answer})
        seeds.task("seen", "r 7", "rejected", now(), "failed", xcoms={**asked, "return_value": answer})
    found = {
        re.search(r"seen / (\w+)", row)[1]: row for row in rows(await get(view, "/?dag_id=seen"), "sends")
    }  # type: ignore[index]
    assert "2 messages<" in found["asked"]
    for name, phase in (("answered", "done"), ("rejected", "failed")):
        assert "2 messages, answered by text" in found[name]
        assert f'class="state {phase}"' in found[name]
        assert re.search(r'data-name="Open">0<', found[name])
    with create_session(scoped=False) as session:
        Seeds(session).forget(runs="r 7")


async def test_a_mapped_task_and_a_ledger_alone_are_shown(view: Any) -> None:
    notes = {"head": head(2, now()), "0": entry("accepted", 10, 5)}
    with create_session(scoped=False) as session:
        Seeds(session).task("seen", "r 4", "send", now(), "running", map_index=4, notes=notes)
    answer = await get(view, "/task?dag_id=seen&run_id=r+4&task_id=send&map_index=4")
    assert "1 operation of 2" in answer.body.decode()
    assert "/tasks/send/mapped/4" in answer.body.decode()


async def test_what_the_page_loads_is_there_and_loads_nothing_from_outside(view: Any) -> None:
    page = (await get(view, "/")).body.decode()
    loaded = set(re.findall(r'(?:src|<link[^>]* href)="/?([^"]*)"', page))
    icons = {
        each[name] for each in TwilioDeliveryPlugin().external_views for name in ("icon", "icon_dark_mode")
    }
    there = {f"{PREFIX[1:]}/static/{path.name}": path.read_text() for path in (FOLDER / "static").iterdir()}
    assert loaded | icons == set(there)
    for text in there.values():
        assert not re.search(r"https?://(?!www\.w3\.org)|@import|url\(", text)


def test_the_view_can_be_switched_off() -> None:
    assert {each["destination"] for each in TwilioDeliveryPlugin().external_views} == {"nav", "task_instance"}
    with environment(AIRFLOW__TWILIO__DELIVERY_VIEW="False"):
        assert TwilioDeliveryPlugin().external_views == TwilioDeliveryPlugin().fastapi_apps == []
