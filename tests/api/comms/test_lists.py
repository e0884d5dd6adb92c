"""Paging by an opaque token, on the configured host, with an end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms.api.comms import messages, operations, sender_pools, senders
from airflow_provider_twilio_comms.api.flows import Done, advance, every_item, every_page
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply, checked
from airflow_provider_twilio_comms.exceptions import ServerFailed, TwilioError

OPERATION = "comms_operation_01h9krwprkeee8fzqspvwy6nq8"
OTHER = "comms_operation_01h9krwprkeee8fzqspvwy6nq9"


def answer(call: Call[Page[Any]], rows: list[Any], pagination: Any, key: str = "messages") -> Page[Any]:
    return checked(call, Reply(200, {}, msgspec.json.encode({key: rows, "pagination": pagination})))


def row(number: int, operation: str | None = OPERATION) -> dict[str, Any]:
    related = [{"name": "OPERATION", "id": operation}] if operation else []
    return {"id": f"comms_message_{number}", "status": "SENT", "related": related}


def test_the_next_page_repeats_the_query_and_adds_the_token() -> None:
    call = messages.list(operation_id=OPERATION, page_size=2)
    page = answer(call, [row(1), row(2)], {"next": "T_a/b+c=", "self": "T_0"})
    assert [message.id for message in page.items] == ["comms_message_1", "comms_message_2"]
    assert page.next is not None
    assert page.next.target("AC1") == (
        f"/Messages?operationId={OPERATION}&pageSize=2&pageToken=T_a%2Fb%2Bc%3D"
    )
    following = answer(page.next, [row(3)], {"next": "T_2", "self": "T_1"})
    assert following.next is not None
    assert following.next.query[-1] == ("pageToken", "T_2")
    assert [name for name, _ in following.next.query].count("pageToken") == 1


def test_a_list_that_is_a_post_takes_its_token_in_the_body() -> None:
    page = answer(senders.search("+15005550006", "SMS", page_size=1), [], {"next": "T_1"}, "senders")
    assert page.next is not None
    assert (page.next.method, page.next.query, page.next.does) == ("POST", (), "reads")
    assert page.next.json == {
        "address": "+15005550006",
        "channel": "SMS",
        "pageSize": 1,
        "pageToken": "T_1",
    }


@pytest.mark.parametrize("token", [None, "", 5, [], {}])
def test_no_token_ends_the_list(token: Any) -> None:
    assert answer(messages.list(), [row(1)], {"next": token}).next is None


@pytest.mark.parametrize("pagination", [None, {}, [], "T_1", 5])
def test_odd_paging_ends_the_list(pagination: Any) -> None:
    assert answer(messages.list(), [row(1)], pagination).next is None


def test_no_paging_at_all_ends_the_list() -> None:
    page = checked(operations.list(), Reply(200, {}, b'{"operations": []}'))
    assert (page.items, page.next) == ([], None)


@pytest.mark.parametrize(
    "token",
    [
        "https://evil.example/v1/Messages?pageSize=9&pageToken=T_1",
        "/v1/Messages?pageToken=T_1",
        "http://comms.twilio.com:1/?pageToken=T_1#x",
    ],
)
def test_of_an_address_only_the_token_is_taken(token: str) -> None:
    page = answer(messages.list(page_size=2), [], {"next": token})
    assert page.next is not None
    assert page.next.target("AC1") == "/Messages?pageSize=2&pageToken=T_1"


def test_an_address_without_a_token_ends_the_list() -> None:
    assert answer(messages.list(), [], {"next": "https://comms.twilio.com/v1/Messages?Page=2"}).next is None


def test_a_token_that_comes_back_ends_the_list() -> None:
    first = answer(messages.list(), [row(1)], {"next": "T_1"})
    assert first.next is not None
    second = answer(first.next, [row(2)], {"next": "T_2"})
    assert second.next is not None
    assert answer(second.next, [row(3)], {"next": "T_1"}).next is None
    assert answer(second.next, [row(3)], {"next": "T_2"}).next is None


def test_rows_of_another_operation_are_an_error() -> None:
    with pytest.raises(TwilioError, match="other operations came back"):
        answer(messages.list(operation_id=OPERATION), [row(1), row(2, OTHER)], {})


def test_rows_of_another_operation_on_a_later_page_are_an_error() -> None:
    page = answer(messages.list(operation_id=OPERATION), [row(1)], {"next": "T_1"})
    assert page.next is not None
    with pytest.raises(TwilioError, match="the filter was ignored"):
        answer(page.next, [row(2, OTHER)], {})


def test_rows_without_relations_and_lists_without_a_filter_pass() -> None:
    assert len(answer(messages.list(operation_id=OPERATION), [row(1, None)], {}).items) == 1
    assert len(answer(messages.list(), [row(1), row(2, OTHER)], {}).items) == 2


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"messages": null}', b'{"messages": {}}', b'{"messages": [{}]}']
)
def test_a_page_without_its_list_is_unreadable_not_empty(body: bytes) -> None:
    """An empty list would mean "nothing was sent", which an unreadable reply does not prove."""
    with pytest.raises(ServerFailed, match="cannot be read"):
        checked(messages.list(), Reply(200, {}, body))


def test_every_list_reads_its_own_key() -> None:
    lists = {
        "operations": [operations.list(), sender_pools.list_operations()],
        "senders": [senders.list(), sender_pools.list_senders("p"), senders.search("a", "SMS")],
        "senderPools": [sender_pools.list()],
    }
    for key, calls in lists.items():
        for call in calls:
            assert answer(call, [{"id": "x", "status": "PROCESSING"}], {}, key).items[0].id == "x"


def pages(first: Call[Page[Any]], contents: list[list[int]]) -> dict[str, Page[Any]]:
    """Build the reply to each target, for a list with these pages."""
    answers, call = {}, first
    for number, content in enumerate(contents):
        more = f"T_{number + 1}" if number + 1 < len(contents) else None
        page = answer(call, [row(item) for item in content], {"next": more})
        answers[call.target("AC1")] = page
        call = page.next or call
    return answers


@pytest.mark.parametrize(
    ("limit", "asked", "got"), [(None, 3, 5), (2, 1, 2), (3, 2, 3), (0, 0, 0), (99, 3, 5)]
)
def test_items_are_fetched_only_as_far_as_needed(limit: int | None, asked: int, got: int) -> None:
    first = messages.list(page_size=2)
    answers = pages(first, [[1, 2], [3, 4], [5]])
    flow = every_item(first, limit)
    step, count = advance(flow), 0
    while not isinstance(step, Done):
        assert isinstance(step, Call)
        step, count = advance(flow, answers[step.target("AC1")]), count + 1
    assert (count, len(step.value)) == (asked, got)


def test_pages_are_handed_over_one_by_one() -> None:
    first = messages.list()
    answers = pages(first, [[1, 2], [], [3]])
    taken: list[int] = []
    flow = every_page(first, lambda rows: taken.append(len(rows)))
    step = advance(flow)
    while not isinstance(step, Done):
        assert isinstance(step, Call)
        step = advance(flow, answers[step.target("AC1")])
    assert (taken, step.value) == ([2, 0, 1], 3)
