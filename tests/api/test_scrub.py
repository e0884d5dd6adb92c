"""Redaction of phone numbers in texts that are logged."""

from __future__ import annotations

import pytest

from airflow_provider_twilio_comms.exceptions import InvalidInput, scrub

HIDDEN = [
    "+14155552671",
    "+1 415 555 2671",
    "+1 (415) 555-2671",
    "(415) 555-2671",
    "415-555-2671",
    "415.555.2671",
    "4155552671",
    "0049 30 1234567",
    "+49 (0)30 123456",
    "+442071838750",
    "tel:+14155552671",
    "whatsapp:+14155552671",
    "To=%2B14155552671&Body",
    "/PhoneNumbers/%2b14155552671",
    "+1\u00a0415\u00a0555\u00a02671",
    "+1 415\u2011555\u20112671",
    "+٤٩٣٠١٢٣٤٥٦",
    "+1415/555-2671",
    "'+14155552671'",
    "+14155552671abc",
    "+14155552671,+14155552672",
    "2020-12-1234",
    "555-0199 12",
]
GLUED = [
    "to_12025550101",
    "id-12025550101",
    "id.12025550101",
    "tel12025550101",
    "12025550101_x",
    "12025550101-x",
    "12025550101abc",
    "x_202-555-0101_y",
]
KEPT = [
    "comms_operation_01h9krwprkeee8fzqspvwy6nq8",
    "SM11111111111111111111111111111111",
    "ACe0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0",
    "RQ00000000000000000000000000000000",
    "code 20404 and 30003 (1), 30005 (2)",
    "HTTP 429",
    "25,000 of 1,000,000 recipients",
    "10000 recipients",
    "2026-07-01",
    "2026-07-01T10:00:00Z",
    "2026-07-01 10:00:00.123+02:00",
    "manual__2026-07-01T10:00:00.123456+00:00",
    "bookings_2026-07-01.csv",
    "0193e1f0-1234-7abc-8def-426614174000",
    "up to 1234.5600 USD",
    "SMa1111111111111111111111111111111",
    "Thu, 24 Aug 2023 05:01:45 +0000",
    "12:30:45",
    "no answer within 30 s",
    "127.0.0.1:8025",
    "$.to[12345].address",
    "v2.10.3",
    "/2010-04-01/Accounts/AC1.json",
    "https://www.twilio.com/docs/errors/20404",
    "+1",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_a_number_is_hidden_however_it_is_written(text: str) -> None:
    scrubbed = scrub(f"Before {text} after")
    assert "<number>" in scrubbed
    assert sum(letter.isdigit() for letter in scrubbed) == 0
    assert scrubbed.startswith("Before ")
    assert scrubbed.endswith("after")


@pytest.mark.parametrize("text", GLUED)
def test_a_number_is_hidden_where_it_is_glued_to_something(text: str) -> None:
    scrubbed = scrub(f"Before {text} after")
    assert "<number>" in scrubbed
    assert sum(letter.isdigit() for letter in scrubbed) == 0


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_number_stays(text: str) -> None:
    assert scrub(f"Before {text} after") == f"Before {text} after"


def test_a_long_text_takes_no_time() -> None:
    assert scrub("1 " * 50_000).strip() == "<number>"
    assert scrub("1" * 100_000 + "x") == "1" * 100_000 + "x"
    assert scrub("+(" * 50_000) == "+(" * 50_000
    assert scrub("a1" * 50_000) == "a1" * 50_000


def test_no_bad_input_quotes_a_number() -> None:
    error = InvalidInput.at("+12025550101", "'to_12025550101' is unknown", "Give one like +1500555*", 1234567)
    assert str(error) == "row 1234567, <number>: 'to_<number>' is unknown. Give one like +1500555*"
    assert (error.field, error.row) == ("<number>", 1234567)
