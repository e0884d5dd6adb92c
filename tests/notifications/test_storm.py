"""A storm is one message, whoever fails, wherever, at once, and however slow Airflow's store is."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_twilio_comms._core.alerts import deduplication
from airflow_provider_twilio_comms._core.alerts.alert import Alert
from airflow_provider_twilio_comms._core.alerts.deduplication import Deduplicator
from airflow_provider_twilio_comms._core.alerts.send import alerted
from airflow_provider_twilio_comms._core.alerts.store import KEEP, Gate, StoreFailed, new_id, scope
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.client.sync import Client
from airflow_provider_twilio_comms.emulator.faults import Fault
from tests.notifications.alert_process import EVE, FolderBoard, config, order

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def client(emulator: Running) -> Iterator[Client]:
    made = Client(config(emulator.base_url))
    yield made
    made.close()


@pytest.fixture
def board(tmp_path: Path) -> FolderBoard:
    return FolderBoard(tmp_path)


def texts(client: Client) -> list[str]:
    """What was sent, oldest first."""
    return [message.body or "" for message in reversed(client.run(messages.list()).items)]


def test_a_storm_of_1000_failures_in_eight_processes_is_one_message_and_999_held_back(
    emulator: Running, client: Client, board: FolderBoard
) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.notifications.alert_process",
        emulator.base_url,
        str(board.folder),
    ]
    storm = [
        subprocess.Popen([*command, "125", "5", "0.002"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    assert sum(int(process.communicate()[0]) for process in storm) == 1
    assert [process.returncode for process in storm] == [0] * 8
    assert emulator.twilio.ledger.recipients == {EVE: 1}
    (first,) = texts(client)
    assert "held back" not in first
    assert not any(".claim." in name for name in board.names(""))

    assert client.run(alerted(order(window=0.1), board)) == 1  # the window is over
    assert texts(client)[-1] == "orders.load failed, 999 held back"
    assert client.run(alerted(order(), board)) == 0
    assert client.run(alerted(order(window=0), board)) == 1
    assert texts(client)[-1] == "orders.load failed, 1 held back"


@pytest.mark.parametrize("round_", range(3))
def test_a_storm_on_a_slow_store_never_lets_two_through(client: Client, tmp_path: Path, round_: int) -> None:
    start = threading.Barrier(12)

    def fail(_: int) -> int:
        start.wait()
        return client.run(alerted(order(), FolderBoard(tmp_path, slow=0.15)))

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(fail, range(12))) == 1
    held = [path for path in tmp_path.iterdir() if ".held." in path.name]
    assert len(held) == 11


def test_a_storm_over_many_keys_keeps_to_what_the_connection_may_send_in_an_hour(
    emulator: Running, client: Client, board: FolderBoard
) -> None:
    hour = Gate(scope("connection", "c"), 3600.0, limit=5)

    def fail(number: int) -> int:
        key = Gate(scope("key", str(number)), 3600.0)
        return client.run(alerted(order(gates=[key, hour]), board))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(fail, range(40))) == 5
    wider = Gate(hour.scope, 3600.0, limit=6)
    assert client.run(alerted(order(gates=[Gate(scope("key", "new"), 60.0), wider]), board)) == 1
    assert texts(client)[-1] == "orders.load failed, 35 held back"


def test_who_died_at_the_gate_stands_in_nobodys_way_for_long(
    client: Client, board: FolderBoard, lease: Callable[[float], None]
) -> None:
    lease(0.5)
    (gate,) = order().gates
    board.put(gate.claim(new_id(time.time() - 1)), "died")
    began = time.monotonic()
    assert client.run(alerted(order(), board)) == 1
    assert time.monotonic() - began > 0.4


def test_who_was_slower_than_the_dead_are_forgotten_begins_again(
    client: Client, board: FolderBoard, lease: Callable[[float], None]
) -> None:
    class Sluggish(FolderBoard):
        late = True

        def put(self, name: str, note: str) -> None:
            super().put(name, note)
            if self.late and ".claim." in name:
                self.late = False
                time.sleep(0.6)

    lease(1.0)
    (gate,) = order().gates
    ticket = client.run(Deduplicator(Sluggish(board.folder), [gate]).entered())
    assert ticket is not None
    assert board.names(gate.scope) == [gate.sent(ticket.id)]


def test_a_store_that_forgets_is_noticed(board: FolderBoard, client: Client, lease: Any) -> None:
    class Forgetful(FolderBoard):
        def put(self, name: str, note: str) -> None:
            pass

    lease(0.2, patience=0.8)
    with pytest.raises(StoreFailed):
        client.run(Deduplicator(Forgetful(board.folder), order().gates).entered())


@pytest.fixture
def lease() -> Iterator[Callable[..., None]]:
    """Lets the dead be forgotten sooner; who waits is patient, as the machine may be busy."""
    before = deduplication.LEASE, deduplication.PATIENCE

    def set_(seconds: float, patience: float = 30.0) -> None:
        deduplication.LEASE, deduplication.PATIENCE = seconds, patience

    yield set_
    deduplication.LEASE, deduplication.PATIENCE = before


def test_a_message_that_failed_leaves_its_place_to_the_next(
    client: Client, board: FolderBoard, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.run(alerted(order(sender="+15005550007"), board)) == 0
    assert "THE ALERT WAS NOT SENT to recipient 1 of 1" in caplog.text
    assert "21606 (the sender is not this account's, or cannot send SMS" in caplog.text
    assert EVE not in caplog.text
    assert client.run(alerted(order(), board)) == 1
    assert client.run(alerted(order(), board)) == 0


def test_a_message_of_which_nobody_knows_is_not_repeated(
    emulator: Running, client: Client, board: FolderBoard, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.twilio.faults.add(Fault(kind="drop_after", method="POST", path="/Messages.json$"))
    assert client.run(alerted(order(), board)) == 0
    assert client.run(alerted(order(), board)) == 0
    assert emulator.twilio.ledger.recipients == {EVE: 1}
    assert "Nobody knows whether recipient 1 of 1 was alerted" in caplog.text


def test_recovery_is_told_once_and_only_after_an_alert(client: Client, board: FolderBoard) -> None:
    success = Alert("orders", "load", state="success")
    gates = order().gates
    assert client.run(alerted(order(alert=success, recovering=gates), board)) == 0
    for _ in range(3):
        client.run(alerted(order(), board))
    with ThreadPoolExecutor(8) as pool:
        told = pool.map(
            lambda _: client.run(alerted(order(alert=success, recovering=gates), board)), range(8)
        )
        assert sum(told) == 1
    assert texts(client) == ["orders.load failed", "orders.load recovered, 2 held back"]
    assert board.names("") == []
    assert client.run(alerted(order(), board)) == 1  # the next failure is news again


def test_what_nobody_asks_for_any_more_is_cleared_away(client: Client, board: FolderBoard) -> None:
    gone, kept = Gate(scope("key", "gone"), 60), Gate(scope("key", "kept"), 60)
    old, recent = new_id(time.time() - KEEP - 60), new_id(time.time() - 3600)
    for gate, each in ((gone, old), (kept, recent)):
        board.put(gate.sent(each), "")
        board.put(gate.held(each, each), "")
    client.run(alerted(order(), board))
    assert not board.names(gone.scope)
    assert len(board.names(kept.scope)) == 2


def test_quiet_hours_hold_back_and_count(client: Client, board: FolderBoard) -> None:
    assert [client.run(alerted(order(quiet=True), board)) for _ in range(2)] == [0, 0]
    client.run(alerted(order(), board))
    assert texts(client) == ["orders.load failed, 2 held back"]


def test_where_only_reading_is_allowed_what_others_sent_counts(
    client: Client, board: FolderBoard, caplog: pytest.LogCaptureFixture
) -> None:
    reader = FolderBoard(board.folder, writable=False)
    assert client.run(alerted(order(), reader)) == 1
    assert client.run(alerted(order(), reader)) == 1  # nobody could write the first one down
    assert "can only be read here" in caplog.text
    client.run(alerted(order(), board))
    assert client.run(alerted(order(), reader)) == 0


@pytest.mark.parametrize(("without_store", "sent"), [("send", 1), ("hold", 0)])
def test_without_a_store_it_says_so_and_does_what_the_author_chose(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture, without_store: str, sent: int
) -> None:
    class Broken(FolderBoard):
        def names(self, prefix: str) -> list[str]:
            raise StoreFailed("it is not there")

    assert client.run(alerted(order(without_store=without_store), Broken(tmp_path))) == sent
    assert "STORM CONTROL IS OFF" in caplog.text
