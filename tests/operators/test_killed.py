"""A worker that dies at the worst moments, and the try after it: everyone once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import SendUncertain
from tests.forked import FORKED
from tests.operators.killed_worker import attempt

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

COUNT = 25_000
SLOW = "the reply is under way"
MOMENTS = {
    "before the first POST": "ledger ledger None",
    "between the ledger and the first POST": "ledger 0 sending",
    "between the ledger and the second POST": "ledger 1 sending",
    "after the reply, before the ledger": "Twilio accepted request 2",
    "between chunks": "Sent request 1 of 3",
    "after the last chunk": "Sent request 3 of 3",
}


def killed(emulator: Running, ledger: Path | None, moment: str, **kwargs: Any) -> None:
    """Run a try that dies at ``moment``."""
    victim = FORKED.Process(
        target=attempt, args=(emulator.connection, COUNT, ledger and str(ledger), moment), kwargs=kwargs
    )
    victim.start()
    if moment == SLOW:
        deadline = time.monotonic() + 60
        while sum(emulator.twilio.ledger.to_dict()["recipients"].values()) < 20_000:
            assert time.monotonic() < deadline, "the second request never came"
            time.sleep(0.01)
        os.kill(victim.pid or 0, signal.SIGKILL)
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL


def received(emulator: Running) -> list[int]:
    """Count how many messages each recipient got, and how many recipients got any."""
    counts = emulator.twilio.ledger.to_dict()["recipients"]
    return [len(counts), max(counts.values(), default=0)]


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_killed_worker_and_its_retry_send_to_everyone_once(
    emulator: Running, tmp_path: Path, moment: str
) -> None:
    ledger = tmp_path / "ledger"
    killed(emulator, ledger, moment)
    if moment.endswith("sending"):  # no request was made, which only a person can make sure of
        with pytest.raises(SendUncertain) as caught:
            attempt(emulator.connection, COUNT, str(ledger), try_number=2)
        assert caught.value.key
        attempt(emulator.connection, COUNT, str(ledger), try_number=3, on_unknown="resend")
    else:
        result = attempt(emulator.connection, COUNT, str(ledger), try_number=2)
        assert result
        assert len(result["operation_ids"]) == 3
    assert received(emulator) == [COUNT, 1]


def test_killed_after_the_post_reached_twilio_but_before_its_reply(emulator: Running, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    emulator.twilio.faults.add(Fault(kind="slow", method="POST", path="/Messages$", skip=1, seconds=30))
    killed(emulator, ledger, SLOW)
    result = attempt(emulator.connection, COUNT, str(ledger), try_number=2)
    assert result
    assert len(set(result["operation_ids"])) == 3
    assert received(emulator) == [COUNT, 1]


@pytest.mark.parametrize(
    "moment", ["Starting new HTTP connection", "Twilio accepted request 2", "Sent request 1 of 3", SLOW]
)
def test_without_a_state_store_the_tag_alone_tells_what_was_sent(emulator: Running, moment: str) -> None:
    if moment == SLOW:
        emulator.twilio.faults.add(Fault(kind="slow", method="POST", path="/Messages$", skip=1, seconds=30))
    killed(emulator, None, moment)
    result = attempt(emulator.connection, COUNT, None, try_number=2)
    assert result
    assert len(set(result["operation_ids"])) == 3
    assert received(emulator) == [COUNT, 1]


def test_a_list_that_lags_is_asked_until_it_shows_the_chunk(emulator: Running, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    killed(emulator, ledger, "Twilio accepted request 2")
    emulator.twilio.change(list_lag=4.0)
    result = attempt(emulator.connection, COUNT, str(ledger), try_number=2, unknown_after=20.0)
    assert result
    assert received(emulator) == [COUNT, 1]
