"""Errors in replies of Twilio, or of a proxy before it."""

from __future__ import annotations

import pickle
from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms.api.comms import operations
from airflow_provider_twilio_comms.api.error_codes import Verdict, from_twilio, known, verdict
from airflow_provider_twilio_comms.api.wire import Reply, checked, error_of
from airflow_provider_twilio_comms.client.retry import untouched
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    AuthenticationFailed,
    RateLimited,
    ServerFailed,
    TransportFailed,
    TwilioError,
)

INFO = "https://www.twilio.com/docs/errors/"
HTML = b"<html><head><title>502 Bad Gateway</title></head>\n<body><h1>Bad\tGateway</h1></body></html>"


def comms(*errors: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"errors": list(errors)})


def classic(code: int, message: str = "Wrong", **more: Any) -> bytes:
    return msgspec.json.encode({"code": code, "message": message, "more_info": f"{INFO}{code}", **more})


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "verdict_"),
    [
        (400, classic(21211), ApiError, 21211, "recipient"),
        (400, comms({"code": 21610, "message": "m"}), ApiError, 21610, "opt-out"),
        (400, comms({"code": 99999, "message": "m"}), ApiError, 99999, "configuration"),
        (400, b"", ApiError, None, "configuration"),
        (401, classic(20003), AuthenticationFailed, 20003, "configuration"),
        (401, HTML, AuthenticationFailed, None, "configuration"),
        (403, comms({"code": 70051, "message": "m"}), AuthenticationFailed, 70051, "configuration"),
        (404, comms({"code": 20404, "message": "m"}), ApiError, 20404, "configuration"),
        (409, classic(20409), ApiError, 20409, "configuration"),
        (429, classic(20429), RateLimited, 20429, "retry"),
        (429, comms({"code": 20429, "message": "m"}), RateLimited, 20429, "retry"),
        # a 429 of something else proves nothing about what was behind it
        (429, HTML, ServerFailed, None, "retry"),
        (429, b"", ServerFailed, None, "retry"),
        (429, b'{"message": "API rate limit exceeded"}', ServerFailed, None, "retry"),
        (429, classic(429), ServerFailed, 429, "retry"),
        (429, comms(), ServerFailed, None, "retry"),
        # a gateway may have forwarded what it answers so
        *((status, HTML, ServerFailed, None, "unknown") for status in (402, 408, 409, 418, 425, 499)),
        (408, b'{"code": 408, "message": "Request Timeout"}', ServerFailed, 408, "unknown"),
        (408, classic(20001), ApiError, 20001, "configuration"),
        *((status, HTML, ApiError, None, "configuration") for status in (400, 404, 405, 411, 413, 415, 431)),
        (500, comms({"code": 20500, "message": "m"}), ServerFailed, 20500, "unknown"),
        (502, HTML, ServerFailed, None, "unknown"),
        (503, classic(20503), ServerFailed, 20503, "unknown"),
        (504, b'{"errors": [{"code": 205', ServerFailed, None, "unknown"),
        (302, b"", ServerFailed, None, "unknown"),
    ],
)
def test_the_kind_of_error(status: int, body: bytes, kind: type[ApiError], code: Any, verdict_: str) -> None:
    with pytest.raises(ApiError) as caught:
        checked(operations.fetch("comms_operation_1"), Reply(status, {}, body))
    error = caught.value
    assert (type(error), error.status, error.code, error.verdict) == (kind, status, code, verdict_)


def test_several_errors_are_all_told() -> None:
    error = error_of(
        Reply(
            400,
            {"twilio-request-id": "RQ1"},
            comms(
                {"code": 20001, "message": "One", "infoUrl": f"{INFO}20001", "context": "$.to[3].address"},
                {"code": 21211, "message": "Two", "infoUrl": f"{INFO}21211", "context": "null"},
                {"message": "Three", "context": None},
            ),
        )
    )
    assert (error.code, error.detail, error.request_id) == (20001, "One; Two; Three", "RQ1")
    assert error.more_info == f"{INFO}20001"
    assert [(each["code"], each["context"]) for each in error.errors] == [
        (20001, "$.to[3].address"),
        (21211, None),
        (None, None),
    ]
    text = str(error)
    assert text.startswith("Twilio answered 400, code 20001 (a parameter is unknown or invalid): One; Two")
    assert text.endswith("[RQ1]")


def test_hundreds_of_errors_do_not_flood_the_message() -> None:
    error = error_of(Reply(400, {}, comms(*({"code": 21211, "message": f"m{n}"} for n in range(500)))))
    assert (len(error.errors), error.detail) == (500, "m0; m1; m2; m3; m4")


def test_the_third_shape_has_a_title() -> None:
    body = {"type": f"{INFO}20001", "title": "Bad", "detail": "Very bad", "status": 400, "code": 20001}
    error = error_of(Reply(400, {}, msgspec.json.encode({**body, "errors": [{"pointer": "x"}]})))
    assert (error.code, error.detail, error.more_info) == (20001, "Very bad", f"{INFO}20001")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (HTML, "502 Bad Gateway Bad Gateway"),
        (b"", ""),
        (b"upstream  \n timed out", "upstream timed out"),
        (b'{"errors": [{"code": 20500, "mess', '{"errors": [{"code": 20500, "mess'),
        (b'{"errors": ["a", 5]}', '{"errors": ["a", 5]}'),
        (b'"just text"', '"just text"'),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 5000, "x" * 200),
    ],
)
def test_what_is_no_error_body_is_shown_cut_short(body: bytes, detail: str) -> None:
    error = error_of(Reply(502, {}, body))
    assert (error.detail, error.code, error.errors) == (detail, None, [])


@pytest.mark.parametrize("code", ["twenty", "", "\N{SUPERSCRIPT TWO}", None, 1.5, True, [], {}])
def test_a_code_that_is_no_number_is_none(code: Any) -> None:
    assert error_of(Reply(400, {}, comms({"code": code, "message": "m"}))).code is None


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_code_as_text_is_a_code(mark: bytes) -> None:
    """A limited send may be repeated, an invalid number is its recipient's fault, whoever writes the code."""
    limited = error_of(Reply(429, {}, mark + classic("20429", "Too Many Requests")))
    assert (type(limited), limited.code) == (RateLimited, 20429)
    invalid = error_of(Reply(400, {}, mark + comms({"code": "21211", "message": "m"})))
    assert (invalid.code, invalid.verdict) == (21211, "recipient")


@pytest.mark.parametrize(
    "body",
    [
        classic(21211, "The 'To' number +14155552671 is not valid"),
        comms({"code": 20001, "message": "+14155552671", "context": "$.variables['+14155552671']"}),
        b"<p>no route to +1 (415) 555-2671</p>",
        classic(20404, "The resource /v2/PhoneNumbers/%2B14155552671 was not found"),
    ],
)
def test_no_number_of_twilios_text_gets_through(body: bytes) -> None:
    error = error_of(Reply(400, {}, body))
    assert "<number>" in str(error)
    assert "2671" not in str(error)
    assert "2671" not in repr(error.to_dict())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 0.5 "}, 0.5),
        (
            {"retry-after": "Wed, 01 Jul 2026 12:00:30 GMT", "date": "Wed, 01 Jul 2026 12:00:00 GMT"},
            30.0,
        ),
        (
            {"retry-after": "Wed, 01 Jul 2026 11:00:00 GMT", "date": "Wed, 01 Jul 2026 12:00:00 GMT"},
            0.0,
        ),
        ({"retry-after": "Wed, 01 Jul 2026 12:00:30 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert error_of(Reply(429, headers, classic(20429))).retry_after == seconds


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        (30003, None, Verdict.RETRY),
        (21610, 400, Verdict.OPT_OUT),
        (20404, 500, Verdict.CONFIGURATION),  # the code wins
        (None, 429, Verdict.RETRY),
        (12345, 429, Verdict.RETRY),
        (None, 404, Verdict.CONFIGURATION),
        (None, 408, Verdict.UNKNOWN),
        (None, 418, Verdict.UNKNOWN),  # whoever answered so, it was not Twilio
        (70051, 408, Verdict.CONFIGURATION),
        (None, 500, Verdict.UNKNOWN),
        (None, None, Verdict.UNKNOWN),
    ],
)
def test_the_verdict_is_the_codes_else_the_statuss(
    code: int | None, status: int | None, expected: Verdict
) -> None:
    assert verdict(code, status) is expected


def test_codes_are_told_from_statuses() -> None:
    assert [from_twilio(code) for code in (None, 0, 429, 9999, 10_001, 70051)] == [False] * 4 + [True] * 2
    assert known(None) is None
    assert known(123) is None


def test_a_failed_transport_may_have_sent_unless_it_says_that_it_did_not() -> None:
    assert TransportFailed("no reply").sent is True
    assert TransportFailed("no reply", sent=None).sent is True
    assert TransportFailed("refused", sent=False).sent is False
    assert not untouched(TransportFailed("no reply"))
    for sent in (True, False):
        travelled = pickle.loads(pickle.dumps(TransportFailed("no reply", sent=sent)))
        assert (type(travelled), travelled.sent) == (TransportFailed, sent)
    older = TwilioError.from_dict({"type": "TransportFailed", "message": "no reply", "sent": None})
    assert not untouched(older)


def test_an_error_is_of_the_family() -> None:
    assert issubclass(RateLimited, ApiError)
    assert issubclass(ApiError, TwilioError)
    with pytest.raises(TypeError, match="has no colour"):
        ApiError("x", colour="red")
