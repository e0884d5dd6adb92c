"""Random worlds: whatever fails, and whatever is edited between two tries, nobody is texted twice.

A machine of Hypothesis plays author, operations and Twilio: lists, texts and chunk sizes are edited, replies
are lost, workers die at any write, lists lag, clocks are moved, this task or another one is cleared. After
every try the emulator's own counts are held against three promises: no number twice; nobody of the plan
missing from a green result; nothing personal in an error. With
``TWILIO_PROPERTY_EXAMPLES`` it plays as many worlds as that, other ones each time; ``make chaos`` does.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running, running
from airflow_provider_twilio_comms.exceptions import SendUncertain, TwilioError
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk
from tests.operators.classic_sends import classic
from tests.operators.single_sends import message

EVERYONE = st.integers(0, 11)
KINDS = st.sampled_from(["drop_before", "drop_after", "error_before", "error_after", "rate_limited", "cut"])
EXAMPLES = int(os.environ.get("TWILIO_PROPERTY_EXAMPLES", "0"))  # of each machine, in the long form


class Died(BaseException):
    """The worker is gone: nothing of ours may catch it."""


def number(person: int) -> str:
    return f"+1202555{1000 + person}"


class World(RuleBasedStateMachine):
    """A task that sends to people, its store, and Twilio."""

    emulator: ClassVar[Running]
    keeps: ClassVar[bool] = True  # whether Airflow has a state store

    def __init__(self) -> None:
        super().__init__()
        self.emulator.twilio.reset()
        self.emulator.twilio.change(list_lag=0.0)
        self.writes_left = -1
        self.store = MemoryStore(self._write) if self.keeps else None
        self.tries, self.max_tries, self.clears = 0, 3, 0
        self.people: list[int] = []
        self.size, self.text = 3, "Hello"
        self.at_once = 1
        self.suppressed: set[int] = set()
        self.resend = False
        self.uncertain = False
        self.lag = 0.0
        self.complete: Any = None

    def _write(self, key: str, value: Any) -> None:
        if self.writes_left == 0:
            self.writes_left = -1
            raise Died
        self.writes_left -= 1

    @initialize(people=st.lists(EVERYONE, min_size=1, max_size=9, unique=True))
    def begin(self, people: list[int]) -> None:
        self.people = people

    # What an author edits

    @rule(person=EVERYONE)
    def add_in_front(self, person: int) -> None:
        if person not in self.people:
            self.people.insert(0, person)

    @rule(person=EVERYONE)
    def append(self, person: int) -> None:
        if person not in self.people:
            self.people.append(person)

    @precondition(lambda self: self.people)
    @rule(place=st.integers(0, 8))
    def remove(self, place: int) -> None:
        del self.people[place % len(self.people)]

    @precondition(lambda self: self.people)
    @rule(place=st.integers(0, 8), person=EVERYONE)
    def replace(self, place: int, person: int) -> None:
        if person not in self.people:
            self.people[place % len(self.people)] = person

    @rule()
    def reverse(self) -> None:
        self.people.reverse()

    @rule(size=st.integers(1, 4))
    def resize(self, size: int) -> None:
        self.size = size

    @rule(at_once=st.sampled_from([1, 2, 4]))
    def send_together(self, at_once: int) -> None:
        self.at_once = at_once

    @precondition(lambda self: self.keeps)
    @rule(text=st.sampled_from(["Hello", "Good morning"]))
    def rewrite(self, text: str) -> None:
        self.text = text

    @rule(person=EVERYONE)
    def opt_out(self, person: int) -> None:
        self.suppressed.add(person)

    # What happens to tasks and Twilio

    @rule(kind=KINDS, skip=st.integers(0, 2))
    def break_a_post(self, kind: Any, skip: int) -> None:
        self.emulator.twilio.faults.add(Fault(kind=kind, skip=skip, method="POST", path="/Messages"))

    @precondition(lambda self: self.keeps)
    @rule(writes=st.integers(0, 7))
    def let_the_worker_die(self, writes: int) -> None:
        self.writes_left = writes

    @precondition(lambda self: self.keeps)
    @rule(lag=st.sampled_from([0.0, 3600.0]))
    def let_lists_lag(self, lag: float) -> None:
        self.lag = lag
        self.emulator.twilio.change(list_lag=lag)

    @rule()
    def clear_this_task(self) -> None:
        self.max_tries, self.clears = self.max_tries + 1, self.clears + 1

    @rule()
    def clear_another_task(self) -> None:
        self.clears += 1

    @precondition(lambda self: self.store)
    @rule(seconds=st.sampled_from([-600.0, 600.0]))
    def move_the_clock(self, seconds: float) -> None:
        assert self.store
        for key, value in self.store.values.items():
            noted = json.loads(value)
            if noted.get("since"):
                self.store.values[key] = json.dumps({**noted, "since": noted["since"] + seconds})

    @precondition(lambda self: self.uncertain and not self.lag)
    @rule()
    def look_into_the_console(self) -> None:
        """An author who was told that nobody knows looks at Twilio, and resends what is not there."""
        self.resend = sum(self.counts().values()) == self.noted("accepted")

    # A try

    def operator(self) -> Any:
        raise NotImplementedError

    def counts(self) -> dict[str, int]:
        return dict(self.emulator.twilio.ledger.recipients)

    largest = 4  # the largest size of a part

    def unknown(self) -> int:
        """Of how many messages the ledger does not know, where it knows of single ones."""
        return 0

    def noted(self, *states: str) -> int:
        """Count how many people the ledger holds in these states."""
        values = [json.loads(value) for value in self.store.values.values()] if self.store else []
        return sum(each["count"] for each in values if each.get("state") in states)

    @rule()
    def run_a_try(self) -> None:
        self.tries += 1
        before = self.counts()
        tried = context(self.store, self.tries, self.clears, max_tries=self.max_tries)
        wanted = [number(person) for person in self.people if person not in self.suppressed]
        result: Any = None
        self.uncertain = False
        try:
            result = self.operator().execute(tried)
        except Died:
            pass
        except AirflowSkipException:
            raise AssertionError("a task that fails where nobody is left was skipped") from None
        except (AirflowFailException, TwilioError) as error:
            told = str(error)
            assert not re.search(r"1202555|Hello|Good morning", told), told
            self.uncertain = isinstance(error, SendUncertain)
        finally:
            self.resend = False
            self.emulator.twilio.faults.clear()
        after = self.counts()
        assert self.unknown() <= 4 * self.largest, "more is unknown than was under way"
        assert max(after.values(), default=0) <= 1, "somebody was texted twice"
        if result is not None and self.complete is not None and self.keeps:
            assert after == before, "a complete send was sent to"
        elif result is not None:
            missing = [each for each in wanted if not after.get(each)]
            assert not missing, f"{len(missing)} of {len(wanted)} are missing from a green result"
            self.complete = result


class BulkWorld(World):
    def operator(self) -> Any:
        return bulk(
            [number(person) for person in self.people],
            content=self.text,
            recipients_per_request=self.size,
            requests_at_once=self.at_once,
            suppress=[number(person) for person in sorted(self.suppressed)] or None,
            on_unknown="resend" if self.resend else "fail",
            unknown_after=0.0,
        )


class CampaignWorld(World):
    """The same with variants, spread over time, of people who can be in several time zones."""

    def operator(self) -> Any:
        return bulk(
            [number(person) for person in self.people],
            content=self.text,
            variants={"a": {}, "b": {"content": f"{self.text}!", "weight": 2}},
            campaign="spring",
            spread_over=240,
            quiet_hours="02:00-02:01",
            recipients_per_request=self.size,
            requests_at_once=self.at_once,
            suppress=[number(person) for person in sorted(self.suppressed)] or None,
            on_unknown="resend" if self.resend else "fail",
            unknown_after=0.0,
        )


class BatchedWorld(World):
    """Worlds of single messages, whose ledger has a place for each in its batch."""

    def unknown(self) -> int:
        """Count how many messages the ledger does not know of."""
        values = [json.loads(value) for value in self.store.values.values()] if self.store else []
        batches = [each for each in values if each.get("state") == "sending"]
        return sum(each["messages"].count("?") if each.get("messages") else each["count"] for each in batches)

    def noted(self, *states: str) -> int:
        values = [json.loads(value) for value in self.store.values.values()] if self.store else []
        return sum(place[:2] == "SM" for each in values for place in each.get("messages", ()))


class ClassicWorld(BatchedWorld):
    """The same through the classic API: batches of ``size`` messages, of which several are under way."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 2

    def operator(self) -> Any:
        return classic(
            [number(person) for person in self.people],
            content=self.text,
            requests_at_once=4 * self.size,
            suppress=[number(person) for person in sorted(self.suppressed)] or None,
            on_unknown="resend" if self.resend else "fail",
            unknown_after=0.0,
        )


class SingleWorld(BatchedWorld):
    def operator(self) -> Any:
        return message(
            to=[number(person) for person in self.people],
            body=self.text,
            suppress=[number(person) for person in sorted(self.suppressed)] or None,
            on_unknown="resend" if self.resend else "fail",
            unknown_after=0.0,
        )


@contextmanager
def twilio(machine: type[World]) -> Iterator[None]:
    with running() as started:
        hasty = started.connection_json(max_attempts=1, timeout=5)
        machine.emulator = started
        with environment(AIRFLOW_CONN_TWILIO_DEFAULT=hasty):
            yield


def play(machine: type[World], keeps: bool, examples: int, **more: Any) -> None:
    kind = type(machine.__name__, (machine,), {"keeps": keeps})
    with twilio(kind):
        run_state_machine_as_test(
            kind,
            settings=settings(
                max_examples=examples,
                stateful_step_count=14,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
                phases=(Phase.generate, Phase.shrink),
                **more,
            ),
        )


@pytest.mark.parametrize("keeps", [True, False], ids=["with a store", "without a store"])
@pytest.mark.parametrize("machine", [BulkWorld, SingleWorld, ClassicWorld])
def test_nobody_is_texted_twice_and_nobody_is_forgotten(machine: type[World], keeps: bool) -> None:
    play(machine, keeps, EXAMPLES or 30, derandomize=not EXAMPLES)


def test_nor_in_a_campaign_that_is_spread_over_time() -> None:
    play(CampaignWorld, True, EXAMPLES or 15, derandomize=not EXAMPLES)
