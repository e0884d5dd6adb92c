"""Texts are cut at a segment's end, with the ellipsis that their encoding has, and at no half character."""

from __future__ import annotations

import pytest

from airflow_provider_twilio_comms._core.alerts.alert import Alert, clean_error
from airflow_provider_twilio_comms._core.alerts.segments import clusters, cut, plain
from airflow_provider_twilio_comms.api.sms_encoding import segments

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
WAVE = "\U0001f44b\U0001f3fd"
FLAG = "\U0001f1f5\U0001f1f9"


@pytest.mark.parametrize(
    ("char", "bound", "kept"),
    [
        ("x", 1, 157),  # and three dots
        ("x", 2, 303),
        ("€", 1, 78),  # counts twice
        ("日", 1, 69),  # and one ellipsis
        ("日", 2, 133),
        (FAMILY, 1, 8),  # eight units each
        (WAVE, 1, 17),
        (FLAG, 3, 49),
        ("e\u0301", 1, 34),
    ],
)
def test_a_long_text_is_cut_at_the_bound_and_between_characters(char: str, bound: int, kept: int) -> None:
    short = cut(char * 400, bound)
    assert segments(short)[0] <= bound
    ellipsis = "\u2026" if segments(char)[1] else "..."
    assert short == char * kept + ellipsis


@pytest.mark.parametrize("text", ["", "x" * 160, "€" * 80, "日" * 70, "\U0001f600" * 35])
def test_what_fits_is_left_alone(text: str) -> None:
    assert cut(text, 1) == text


def test_what_must_follow_is_never_cut() -> None:
    short = cut("x" * 400, 1, "\nhttps://airflow.example.com")
    assert len(short) == 160
    assert short.endswith("x...\nhttps://airflow.example.com")


def test_characters_are_what_people_see() -> None:
    text = ["a", FAMILY, FLAG, FLAG, "e\u0301", WAVE, "1\ufe0f\u20e3", "\r\n"]
    assert list(clusters("".join(text))) == text


def test_typographic_characters_do_not_halve_the_room() -> None:
    assert plain("\u201cdon\u2019t\u201d \u2013 naïve\u2026 `x`") == "\"don't\" - naive... 'x'"
    assert plain("日本") == "日本"


LONG = "http://airflow.example.com/dags/orders/runs/scheduled__2026-11-20T00%3A00%3A00%2B00%3A00"


def test_a_text_of_one_segment_has_the_longest_link_that_leaves_the_error_room() -> None:
    links = (f"{LONG}/tasks/load?try_number=2", LONG, "http://airflow.example.com/dags/orders")
    alert = Alert("orders", "load", 7, try_number=2, tries=3, links=links, error="KeyError: " + "k" * 200)
    assert segments(alert.text)[0] == 1
    first, error, link = alert.text.split("\n")
    assert first == "orders.load[7] failed, try 2/3"
    assert error.startswith("KeyError: kkkk")
    assert error.endswith("...")
    assert link == links[2]
    assert Alert("orders", "load", links=links).text == f"orders.load failed\n{links[0]}"


def test_the_longest_names_leave_one_segment_too() -> None:
    alert = Alert("d" * 250, "t" * 250, links=("http://x",), error="E: e")
    assert segments(alert.text)[0] == 1


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("\n\n  first line\nsecond", "first line"),
        ("cannot call +1 (202) 555-0123 now", "cannot call <number> now"),
        ("password=hunter2, host=db", "password=***, host=db"),
        ("{'api_key': 'abc', 'x': 1}", "{'api_key': '***', 'x': 1}"),
        ("GET https://joe:pw@host/x failed", "GET https://***host/x failed"),
        ("Authorization: Bearer abc.def.ghi", "Authorization: ***"),
        ("", ""),
    ],
)
def test_an_error_shows_its_first_line_and_nothing_private(error: str, shown: str) -> None:
    assert clean_error(error) == shown
