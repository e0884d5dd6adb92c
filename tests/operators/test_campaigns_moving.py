"""One campaign with random controls in a world that moves between its tries: each person once, or not at all.

Between two tries people opt out and lists grow. A try dies at any write to the ledger, or loses requests and
replies.
"""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowException

from airflow_provider_twilio_comms._core.campaigns.variants import Assignment, Split
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import TwilioError
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk
from tests.operators.campaign_sends import said
from tests.operators.classic_sends import classic
from tests.operators.test_consent import say
from tests.warehouse import SECRET, in_sqlite, linked

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

VARIANTS: dict[str, dict[str, Any]] = {
    "long": {"content": "The sale begins on Friday."},
    "short": {"content": "Sale!", "weight": 2},
}
FAULTS: tuple[Any, ...] = ("rate_limited", "bad_gateway", "drop_after", "drop_before")
PATHS = "(/Messages|/Messages.json)$"
TEXT = "The sale has begun."
CAP = {"messages": 1, "days": 7, "conn_id": "warehouse", "create_table": True}


class Died(BaseException):
    """The worker is gone."""


class Moving:
    """A campaign, its list and the people who refuse it, all made up of a seed."""

    def __init__(self, seed: int, emulator: Running) -> None:
        self.chance = chance = random.Random(seed)
        self.twilio = emulator.twilio
        self.counts = emulator.twilio.ledger.recipients
        self.rows = [f"+1202{number:07d}" for number in chance.sample(range(1000), 40)]
        self.refused: dict[str, bool] = {}  # whether they had been texted before
        self.store = MemoryStore(self.die)
        self.given: dict[str, Any] = {
            "content": TEXT,
            "unknown_after": 0.2,
            "requests_at_once": chance.choice([1, 3, 8]),
        }
        self.make = chance.choice([bulk, classic])
        if chance.random() < 0.6:
            self.given |= {"variants": VARIANTS, "campaign": "spring", "holdout": chance.choice([0.0, 0.2])}
        if chance.random() < 0.5:
            self.given["frequency_cap"] = CAP
        if self.make is bulk and chance.random() < 0.5:
            self.given["spread_over"] = timedelta(hours=chance.choice([1, 4]))
        elif self.make is bulk:
            self.given["recipients_per_request"] = chance.choice([1, 3, 7])

    def die(self, key: str, value: Any) -> None:
        if self.chance.random() < 0.07:
            raise Died

    def refuse(self, *numbers: str) -> None:
        for number in numbers:
            self.refused.setdefault(number, number in self.counts)
        say("stop", *numbers, self.rows[0])

    def attempt(self, number: int) -> bool:
        """Try, and let anything go wrong, with a list that may have grown. Returns whether it ended."""
        for kind in self.chance.sample(FAULTS, k=self.chance.randrange(3)):
            skip = self.chance.randrange(8)
            self.twilio.faults.add(Fault(kind=kind, method="POST", path=PATHS, skip=skip, times=2))
        before, others = self.rows, self.rows
        if number > 1 and self.chance.random() < 0.3:
            self.rows = [*self.rows, f"+1303{number:07d}", f"+1404{number:07d}"]
        try:
            self.make(self.rows, **self.given).execute(context(self.store, number))
        except (AirflowException, TwilioError) as error:
            if "there changed" in str(error):  # nothing was sent, and the list is put back
                self.rows = before
        except Died:
            if self.given["requests_at_once"] > 1:  # which the others of a group may still be under way
                others = sorted(self.counts)
        else:
            return True
        if others:
            self.refuse(self.chance.choice(others))
        return False

    def wanted(self) -> dict[str, str]:
        """Who is to have got which text, once the last try is over."""
        weights = {name: each.get("weight", 1.0) for name, each in VARIANTS.items()}
        assignment = Assignment(Split("spring", weights, self.given.get("holdout", 0.0)), SECRET)
        found = {}
        for number in self.rows:
            if self.refused.get(number, True) and "variants" not in self.given:
                found[number] = TEXT
            elif self.refused.get(number, True) and not assignment.holds_out(number):
                found[number] = VARIANTS[assignment.variant(number)]["content"]
        return found


@pytest.mark.parametrize("seed", range(8))
def test_each_person_gets_a_campaign_once_or_not_at_all(emulator: Running, tmp_path: Path, seed: int) -> None:
    moving = Moving(seed, emulator)
    with in_sqlite(tmp_path), linked(emulator, max_attempts=1):
        moving.refuse(*moving.rows[:2])
        for number in range(1, 5):
            ended = moving.attempt(number)
            assert {each: each in moving.counts for each in moving.refused} == moving.refused
            if ended:
                break
        moving.store.refuse = lambda key, value: None
        emulator.twilio.faults.clear()
        last = moving.make(moving.rows, **moving.given, on_unknown="resend")
        assert last.execute(context(moving.store, 5))
    assert said(emulator) == moving.wanted()
    assert set(moving.counts.values()) == {1}
