"""Replies that count for an approval by text, and that what is kept of them tells nothing."""

from __future__ import annotations

import pytest

from airflow_provider_twilio_comms._core.approvals import (
    MOST_WRONG,
    Ballot,
    Tally,
    open_ballot,
    text_of,
)
from airflow_provider_twilio_comms._core.inbound import InboundMessage

ADA, GRACE, EVE = "+12025550101", "+12025550102", "+12025550199"
OPENED, UNTIL = 1_790_000_000.7, 1_790_003_600.0
KEY = "a key"


def ballot(name: str = "question", **others: int) -> tuple[Ballot, str]:
    return open_ballot(KEY, name, ["YES", "NO"], [ADA, GRACE], others.get("digits", 4), OPENED, UNTIL)


def reply(body: str, sender: str = ADA, after: float = 10.0) -> InboundMessage:
    return InboundMessage(f"SM{body}{after}", OPENED + after, sender, "+15005550006", None, body)


def judged(*replies: InboundMessage, others: tuple[str, ...] = ()) -> tuple[str | None, dict[str, int]]:
    """The vote and the kinds of replies, where each suspect was texted these codes of other questions."""
    tally = Tally(ballot()[0])
    tally.add(replies)
    while tally.pending:
        tally.judge(KEY)
        if tally.suspect is not None:
            tally.excuse(KEY, others)
    return (f"{tally.vote.option} {tally.vote.voter}" if tally.vote else None), dict(tally.kinds)


CODE = ballot()[1]
WRONG = f"{(int(CODE) + 1) % 10_000:04}"


@pytest.mark.parametrize("body", [f"YES {CODE}", f"yes {CODE}", f" {CODE}, Yes! ", f"Yes.\n{CODE}"])
def test_an_approval_is_an_option_and_the_code(body: str) -> None:
    assert judged(reply(body, GRACE)) == ("YES 1", {"vote": 1})
    assert judged(reply(body, f"whatsapp:{GRACE}")) == ("YES 1", {"vote": 1})


@pytest.mark.parametrize(
    "body",
    [
        *("YES", CODE, f"not yes {CODE}", f"YES NO {CODE}", f"MAYBE {CODE}", f"YES {CODE} {WRONG}", "", "👍"),
        *("on my way, 10 min", f"YES 0{CODE}", f"MAYBE {WRONG}", f"NO {CODE[:3]}"),
    ],
)
def test_an_unclear_approval_is_none(body: str) -> None:
    assert judged(reply(body)) == (None, {"unclear": 1})


def test_a_wrong_code_and_a_wrong_number_approve_nothing() -> None:
    assert judged(reply(f"YES {WRONG}")) == (None, {"wrong code": 1})
    assert judged(reply(f"YES {CODE}", EVE)) == (None, {"stranger": 1})


def test_the_first_approval_counts_and_later_ones_do_not() -> None:
    first, second = reply(f"NO {CODE}", GRACE, 20), reply(f"YES {CODE}", ADA, 30)
    assert judged(reply("What?"), first, second) == ("NO 1", {"unclear": 1, "vote": 1})


def test_an_early_and_a_late_approval_do_not_count() -> None:
    late = UNTIL - OPENED + 1
    assert judged(reply(f"YES {CODE}", after=-2), reply(f"YES {CODE}", after=late)) == (None, {})
    assert judged(reply(f"YES {CODE}", after=-0.7))[0] == "YES 0", "Twilio's times are whole seconds"


def test_who_tries_codes_is_not_heard_in_the_end_but_others_are() -> None:
    tries = [reply(f"YES {WRONG}", after=number) for number in range(MOST_WRONG)]
    right = reply(f"YES {CODE}", ADA, 100)
    assert judged(*tries, right) == (None, {"wrong code": MOST_WRONG, "silenced": 1})
    assert judged(*tries, right, reply(f"YES {CODE}", GRACE, 101))[0] == "YES 1"


def test_codes_of_other_questions_are_no_wrong_codes() -> None:
    codes = [f"{(int(CODE) + number) % 10_000:04}" for number in range(1, 60)]
    others = [reply(f"YES {code}", after=number) for number, code in enumerate(codes)]
    right = reply(f"YES {CODE}", ADA, 100)
    assert judged(*others, right) == (None, {"wrong code": 20, "silenced": 40})
    answered = {"answer to another question": 59, "vote": 1}
    assert judged(*others, right, others=tuple(codes)) == ("YES 0", answered)
    mixed = {"answer to another question": 40, "wrong code": 19, "vote": 1}
    assert judged(*others, right, others=tuple(codes[19:])) == ("YES 0", mixed)


def test_a_text_with_many_codes_is_one_unclear_reply_whatever_they_are() -> None:
    """Else it would be many tries for one, and the log would tell if the right code is among them."""
    with_it, without = (f"YES {' '.join(f'{n:04}' for n in range(300) if n != left)}" for left in (-1, 7))
    open_question, code = open_ballot(KEY, "low code", ["YES"], [ADA], 4, OPENED, UNTIL)
    assert code
    for body in (with_it, without, *(f"MAYBE {n:04}" for n in (7, 8))):
        assert open_question.parse(body) is None


def test_replies_are_judged_once_and_a_slice_at_a_time() -> None:
    tally = Tally(ballot()[0])
    tally.add(reply("What?", after=number) for number in range(10))
    for left in (6, 2, 0):
        tally.judge(KEY, most=4)
        assert sum(tally.kinds.values()) == 10 - left
    tally.add([reply(f"no {CODE}", GRACE, 30)])
    vote = tally.judge(KEY)
    assert vote is not None
    assert (vote.option, vote.voter, dict(tally.kinds)) == ("NO", 1, {"unclear": 10, "vote": 1})
    assert not tally.pending


def test_a_code_is_of_one_question_and_one_key() -> None:
    assert ballot() == ballot(), "a retry asks with the same code"
    codes = {ballot(f"question {number}", digits=8)[1] for number in range(1000)}
    assert len(codes) == 1000
    assert {len(code) for code in codes} == {8}
    tally = Tally(ballot()[0])
    tally.add([reply(f"YES {CODE}")])
    assert tally.judge("another key") is None


def test_what_is_kept_of_an_approval_tells_nothing() -> None:
    kept, code = ballot(digits=8)
    for secret in (code, ADA[1:], GRACE[1:]):
        assert secret not in repr(kept)
    assert text_of("Go on?", ["YES", "NO"], "4821") == "Go on?\nReply YES 4821 or NO 4821"
