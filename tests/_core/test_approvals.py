"""Which reply to an approval by text counts, and that what is kept of it tells nothing."""

from __future__ import annotations

import pytest

from airflow_provider_twilio_comms._core.approvals import MOST_WRONG, Ballot, asked, text_of
from airflow_provider_twilio_comms._core.inbound import InboundMessage

ADA, GRACE, EVE = "+12025550101", "+12025550102", "+12025550199"
OPENED, UNTIL = 1_790_000_000.7, 1_790_003_600.0
KEY = "a key"


def ballot(name: str = "question", **others: int) -> tuple[Ballot, str]:
    return asked(KEY, name, ["YES", "NO"], [ADA, GRACE], others.get("digits", 4), OPENED, UNTIL)


def reply(body: str, sender: str = ADA, after: float = 10.0) -> InboundMessage:
    return InboundMessage(f"SM{body}{after}", OPENED + after, sender, "+15005550006", None, body)


def judged(*replies: InboundMessage) -> tuple[str | None, dict[str, int]]:
    vote, kinds = ballot()[0].judged(replies, KEY)
    return (f"{vote.option} {vote.voter}" if vote else None), dict(kinds)


CODE = ballot()[1]
WRONG = f"{(int(CODE) + 1) % 10_000:04}"


@pytest.mark.parametrize("body", [f"YES {CODE}", f"yes {CODE}", f" {CODE}, Yes! ", f"Yes.\n{CODE}"])
def test_an_approval_is_an_option_and_the_code(body: str) -> None:
    assert judged(reply(body, GRACE)) == ("YES 1", {"vote": 1})
    assert judged(reply(body, f"whatsapp:{GRACE}")) == ("YES 1", {"vote": 1})


@pytest.mark.parametrize(
    "body",
    ["YES", CODE, f"not yes {CODE}", f"YES NO {CODE}", f"MAYBE {CODE}", f"YES {CODE} {WRONG}", "", "👍"],
)
def test_an_unclear_approval_is_none(body: str) -> None:
    assert judged(reply(body)) == (None, {"unclear": 1})


def test_a_wrong_code_and_a_wrong_number_approve_nothing() -> None:
    assert judged(reply(f"YES {WRONG}")) == (None, {"wrong code": 1})
    assert judged(reply(f"YES 0{CODE}")) == (None, {"wrong code": 1})
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


def test_a_code_is_of_one_question_and_one_key() -> None:
    assert ballot() == ballot(), "a retry asks with the same code"
    codes = {ballot(f"question {number}", digits=8)[1] for number in range(1000)}
    assert len(codes) == 1000
    assert {len(code) for code in codes} == {8}
    vote, _ = ballot()[0].judged([reply(f"YES {CODE}")], "another key")
    assert vote is None


def test_what_is_kept_of_an_approval_tells_nothing() -> None:
    kept, code = ballot(digits=8)
    for secret in (code, ADA[1:], GRACE[1:]):
        assert secret not in repr(kept)
    assert text_of("Go on?", ["YES", "NO"], "4821") == "Go on?\nReply YES 4821 or NO 4821"
