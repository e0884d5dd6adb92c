"""Uploads to addresses that replies name, and conditional requests: what is on the wire."""

from __future__ import annotations

import io

import pytest

from airflow_provider_twilio_comms.api.audiences import cohorts
from airflow_provider_twilio_comms.api.flows import uploaded
from airflow_provider_twilio_comms.exceptions import ApiError, TransportFailed
from tests.client.conftest import Connect, Scripted
from tests.client.test_wire import parts

COHORT = "cmp_cohort_01h9krwprkeee8fzqspvwy6nq8"
ROWS = b"phone,city\n+12025550100,Lisbon\n"


def test_an_upload_is_one_bare_put(connect: Connect, scripted: Scripted) -> None:
    scripted.says("200 OK")
    file = io.BytesIO(ROWS)
    file.seek(7)
    connect().run(uploaded(f"http://127.0.0.1:{scripted.port}/bucket/a.csv?X-Signature=a%2Fb", file))
    line, headers, body = parts(scripted.requests[0])
    assert line == "PUT /bucket/a.csv?X-Signature=a%2Fb HTTP/1.1"
    assert (headers["content-type"], headers["content-length"]) == ("text/csv", str(len(ROWS)))
    assert "authorization" not in headers
    assert "transfer-encoding" not in headers
    assert body == ROWS


def test_an_upload_that_breaks_is_made_again_from_the_start(connect: Connect, scripted: Scripted) -> None:
    scripted.replies.append(b"")
    scripted.says("200 OK")
    connect().run(uploaded(f"http://127.0.0.1:{scripted.port}/a.csv?key=secret", io.BytesIO(ROWS)))
    assert [parts(request)[2] for request in scripted.requests] == [ROWS, ROWS]


@pytest.mark.parametrize("status", ["403 Forbidden", "307 Temporary Redirect"])
def test_an_upload_that_is_refused_shows_the_host_only(
    connect: Connect, scripted: Scripted, status: str
) -> None:
    scripted.says(status, b"", "Location: http://127.0.0.1:1/elsewhere")
    with pytest.raises(ApiError) as caught:
        connect().run(uploaded(f"http://127.0.0.1:{scripted.port}/a.csv?key=secret", io.BytesIO(ROWS)))
    assert len(scripted.requests) == 1
    assert "did not take the file" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_upload_to_nobody_is_a_lost_one(connect: Connect) -> None:
    with pytest.raises(TransportFailed) as caught:
        connect(max_attempts=1).run(uploaded("http://127.0.0.1:1/a.csv?key=secret", io.BytesIO(ROWS)))
    assert "secret" not in str(caught.value)


def test_a_conditional_read_on_the_wire(connect: Connect, scripted: Scripted) -> None:
    scripted.says("304 Not Modified")
    call = cohorts.fetch_if_changed(COHORT, '"7"')
    assert connect(base_url=scripted.base_url).run(call) is None
    line, headers, _ = parts(scripted.requests[0])
    assert line == f"GET /audiences/preview/Cohorts/{COHORT} HTTP/1.1"
    assert headers["if-none-match"] == '"7"'
    assert headers["authorization"].startswith("Basic ")


def test_a_cohort_under_a_key_is_created_once_though_the_reply_was_lost(
    connect: Connect, scripted: Scripted
) -> None:
    scripted.replies.append(b"")
    scripted.says("201 Created", b'{"cohort": {"id": "%s"}}' % COHORT.encode())
    call = cohorts.create("lapsed", "mem_store_1", "true", idempotency_key="k1")
    assert connect(base_url=scripted.base_url).run(call).cohort is not None
    assert {parts(request)[1]["idempotency-key"] for request in scripted.requests} == {"k1"}
    assert len(scripted.requests) == 2
