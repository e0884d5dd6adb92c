"""Texts of Twilio's list that can be the one that was sent."""

from __future__ import annotations

import pytest

from airflow_provider_twilio_comms._core.sending.shown_texts import TRIAL, alike, rendered


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Hello", "Hello"),
        ("Hello", TRIAL + "Hello"),
        ("\N{LEFT DOUBLE QUOTATION MARK}Hi\N{RIGHT DOUBLE QUOTATION MARK}", '"Hi"'),
        ("It\N{RIGHT SINGLE QUOTATION MARK}s", "It's"),
        ("A \N{EM DASH} B\N{HORIZONTAL ELLIPSIS}", "A - B..."),
        ("1\N{NO-BREAK SPACE}000\N{ZERO WIDTH SPACE}", "1 000"),
        ("Hello ", "Hello"),
        ("", ""),
    ],
)
def test_what_twilio_changes_does_not_matter(sent: str, shown: str) -> None:
    assert alike(sent, shown)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [("Hello", "Hallo"), ("Order 1", "Order 2"), ("Hello", ""), ("\N{CJK UNIFIED IDEOGRAPH-4E00}", "")],
)
def test_another_text_is_another_text(sent: str, shown: str) -> None:
    assert not alike(sent, shown)


def test_links_count_as_links_only_where_they_may_be_shortened() -> None:
    sent, shown = "See https://example.com/a?b=c now", "See https://twil.io/xyz now"
    assert alike(sent, shown, shortened=True)
    assert not alike(sent, shown)


def test_a_template_becomes_the_texts_of_its_types() -> None:
    types = {
        "twilio/text": {"body": "Hi {{1}}, {{ name }}"},
        "twilio/media": {"media": ["https://example.com"]},
        "whatsapp/card": {"body": "{{2}}!"},
    }
    assert list(rendered(types, {"1": "Ada", "name": "bye"})) == ["Hi Ada, bye", "{{2}}!"]
