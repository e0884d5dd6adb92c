"""Calls about cohorts: each request is exact, and replies are read in every form that is possible."""

from __future__ import annotations

import re
from dataclasses import asdict
from types import ModuleType
from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms.api.audiences import cohort_operations, cohort_snapshots, cohorts
from airflow_provider_twilio_comms.api.wire import Reply, checked
from airflow_provider_twilio_comms.exceptions import ApiError, InvalidInput, RateLimited, ServerFailed
from tests.api.audiences.samples import CRITERIA, SAMPLES, Sample, World

MODULES: tuple[ModuleType, ...] = (cohorts, cohort_snapshots, cohort_operations)
WORLD = World()
COHORT = {"id": WORLD.cohort, "displayName": "lapsed", "criteria": CRITERIA, "labels": None}
OPERATION = {
    "operationId": WORLD.operation,
    "status": "COMPLETED",
    "createdAt": "2026-10-01T12:00:00Z",
    "result": {"cohortSnapshotId": WORLD.snapshot, "profileCount": 15420},
}


def functions() -> dict[str, str]:
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": vars(module)[name].__doc__ or ""
        for module in MODULES
        for name in module.__all__
        if str(getattr(vars(module)[name], "__annotations__", {}).get("return")).startswith("Call[")
    }


def filled(value: Any) -> Any:
    text = msgspec.json.encode(value).decode()
    return msgspec.json.decode(re.sub(r"<(\w+)>", lambda match: str(asdict(WORLD)[match[1]]), text))


def reply(body: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, msgspec.json.encode(body)
    )


def test_audiences_every_function_has_a_sample() -> None:
    assert {sample.name for sample in SAMPLES} == set(functions())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_audiences_a_call_becomes_exactly_this_request(sample: Sample) -> None:
    call = sample.call(WORLD)
    assert f"{call.method} {call.target('AC1')}" == filled(sample.wire)
    assert (call.product, call.headers) == ("audiences", sample.headers)
    _, body = call.content()
    assert (msgspec.json.decode(body) if body else None) == filled(sample.json)
    assert f"``{call.method} {call.path}``" in functions()[sample.name]


def test_audiences_a_snapshot_is_never_taken_twice_by_a_retry() -> None:
    """An account may take 100 a day. Creating a cohort is repeated only under a key."""
    assert not cohort_snapshots.create(WORLD.cohort).repeatable
    assert not cohorts.create("a", WORLD.store, CRITERIA).repeatable
    assert cohorts.create("a", WORLD.store, CRITERIA, idempotency_key="k").repeatable


@pytest.mark.parametrize("body", [COHORT, {"cohort": COHORT}])
def test_audiences_a_cohort_is_read_wrapped_or_not(body: Any) -> None:
    cohort = checked(cohorts.fetch(WORLD.cohort), reply(body, etag='"7"'))
    assert (cohort.id, cohort.criteria, cohort.etag) == (WORLD.cohort, CRITERIA, '"7"')
    created = checked(cohorts.create("lapsed", WORLD.store, CRITERIA), reply(body, 201))
    assert created.cohort is not None
    assert created.cohort.id == WORLD.cohort


def test_audiences_an_unchanged_cohort_is_none() -> None:
    assert checked(cohorts.fetch_if_changed(WORLD.cohort, '"7"'), Reply(304)) is None
    with pytest.raises(ServerFailed):
        checked(cohorts.fetch_if_changed(WORLD.cohort, '"7"'), Reply(302))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (OPERATION, {}),
        ({"operation": OPERATION}, {}),
        ({"statusUrl": f"/preview/CohortOperations/{WORLD.operation}"}, {}),
        (None, {"location": f"/preview/CohortOperations/{WORLD.operation}"}),
    ],
)
def test_audiences_an_operation_is_found_wherever_it_is(body: Any, headers: dict[str, str]) -> None:
    answer = Reply(202, headers, msgspec.json.encode(body) if body else b"")
    assert checked(cohort_snapshots.create(WORLD.cohort), answer).operation_id == WORLD.operation
    assert checked(cohorts.create("a", WORLD.store, CRITERIA), answer).operation is not None


def test_audiences_a_reply_that_names_no_operation_is_unreadable() -> None:
    with pytest.raises(ServerFailed, match="names no operation"):
        checked(cohorts.delete(WORLD.cohort), reply({"message": "ok"}, 202))


def test_audiences_an_operation_tells_its_result_and_its_error() -> None:
    done = checked(cohort_operations.fetch(WORLD.operation), reply(OPERATION))
    assert (done.done, done.cohort_snapshot_id, done.profile_count) == (True, WORLD.snapshot, 15420)
    failed = {
        "operationId": WORLD.operation,
        "status": "FAILED",
        "error": {"title": "Bad", "code": 20001, "detail": "no +14155552671"},
    }
    error = checked(cohort_operations.fetch(WORLD.operation), reply(failed)).error
    assert str(error) == "no <number> (code 20001)"
    strange = {"operationId": WORLD.operation, "status": "THINKING"}
    assert not checked(cohort_operations.fetch(WORLD.operation), reply(strange)).done


def test_audiences_a_page_knows_the_next_and_ends() -> None:
    call = cohort_snapshots.list_profiles(WORLD.snapshot, partition=2)
    row = {"profileId": "mem_profile_1", "variables": {"firstName": "Ada"}}
    page = checked(call, reply({"profiles": [row], "meta": {"key": "profiles", "nextToken": "t1"}}))
    assert [member.profile_id for member in page.items] == ["mem_profile_1"]
    assert "Ada" not in repr(page.items)
    assert page.next is not None
    assert dict(page.next.query) == {"partition": "2", "pageToken": "t1"}
    for meta in ({"key": "profiles"}, {"key": "profiles", "nextToken": "t1"}):
        assert checked(page.next, reply({"profiles": [], "meta": meta})).next is None


PROBLEM = {"title": "Rate limit exceeded", "status": 429, "detail": "5 a minute"}


def test_audiences_problem_details_are_twilios_own() -> None:
    call = cohort_snapshots.create(WORLD.cohort)
    with pytest.raises(RateLimited) as caught:
        checked(call, reply(PROBLEM, 429, retry_after="7"))
    assert (caught.value.retry_after, caught.value.detail) == (7, "5 a minute")
    with pytest.raises(ApiError) as stale:
        checked(call, reply({"title": "Precondition failed", "status": 412}, 412))
    assert type(stale.value) is ApiError


@pytest.mark.parametrize("body", [b"<html>429</html>", b"{}", b'{"title": "x", "status": 503}'])
def test_audiences_a_gateways_429_proves_nothing(body: bytes) -> None:
    with pytest.raises(ServerFailed):
        checked(cohort_snapshots.create(WORLD.cohort), Reply(429, {}, body))


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: cohorts.create("", WORLD.store, CRITERIA), "display_name"),
        (lambda: cohorts.create("a", "MG1", CRITERIA), "store_id"),
        (lambda: cohorts.create("a", WORLD.store, ""), "criteria"),
        (lambda: cohorts.create("a", WORLD.store, CRITERIA, labels={"twilio__a": "b"}), "labels"),
        (lambda: cohorts.create("a", WORLD.store, CRITERIA, labels={"a": "b c"}), "labels"),
        (lambda: cohorts.create("a", WORLD.store, CRITERIA, idempotency_key="a\nb"), "idempotency_key"),
        (lambda: cohorts.list(labels={str(n): "x" for n in range(11)}), "labels"),
        (lambda: cohorts.fetch("aud_audience_1"), "cohort_id"),
        (lambda: cohort_snapshots.create(), "cohort_id"),
        (lambda: cohort_snapshots.create(WORLD.cohort, store_id=WORLD.store, criteria="true"), "cohort_id"),
        (lambda: cohort_snapshots.list_profiles(WORLD.snapshot, partition=-1), "partition"),
        (lambda: cohort_operations.fetch("comms_operation_1"), "operation_id"),
    ],
)
def test_audiences_bad_input_is_refused(call: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        call()
    assert caught.value.field == field
