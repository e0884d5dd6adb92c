"""A storm is one message, whoever fails, wherever, at once, and however slow the store of alerts is."""

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
from airflow_provider_twilio_comms._core.alerts import store as alert_store
from airflow_provider_twilio_comms._core.alerts.alert import Alert
from airflow_provider_twilio_comms._core.alerts.names import NameStore
from airflow_provider_twilio_comms._core.alerts.send import send_alert
from airflow_provider_twilio_comms._core.alerts.store import (
    AlertStore,
    Gate,
    StoreFailed,
    new_id,
    scope,
)
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.flows import Pause
from airflow_provider_twilio_comms.client.sync import Client
from airflow_provider_twilio_comms.emulator.faults import Fault
from tests.notifications.alert_process import EVE, FolderBoard, config, order, store_in

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def client(emulator: Running) -> Iterator[Client]:
    made = Client(config(emulator.base_url))
    yield made
    made.close()


@pytest.fixture(params=["names", "table"])
def another(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], AlertStore]:
    """Opens the store of alerts as one more process does."""
    return lambda: store_in(tmp_path, request.param)


@pytest.fixture
def store(another: Callable[[], AlertStore]) -> AlertStore:
    return another()


@pytest.fixture
def lease() -> Iterator[Callable[[float], None]]:
    """Lets claims lapse sooner."""
    before = alert_store.LEASE

    def set_(seconds: float) -> None:
        alert_store.LEASE = seconds

    yield set_
    alert_store.LEASE = before


class Ahead(Client):
    """A host whose clock is so many seconds ahead, or that comes so much later."""

    seconds = 0.0

    def _perform(self, step: Any) -> Any:
        result = super()._perform(step)
        return result + self.seconds if isinstance(step, Pause) else result


@pytest.fixture
def ahead(emulator: Running) -> Iterator[Ahead]:
    made = Ahead(config(emulator.base_url))
    yield made
    made.close()


def texts(client: Client) -> list[str]:
    """List what was sent, oldest first."""
    return [message.body or "" for message in reversed(client.run(messages.list()).items)]


def told(client: Client, store: AlertStore) -> str:
    """Return what the next message of the key says was held back."""
    assert client.run(send_alert(order(window=0), store)) == 1
    return texts(client)[-1].removeprefix("orders.load failed").removeprefix(", ")


@pytest.mark.parametrize("kind", ["names", "table"])
def test_a_storm_of_1000_failures_in_eight_processes_is_one_message_and_999_held_back(
    emulator: Running, client: Client, tmp_path: Path, kind: str
) -> None:
    program = [sys.executable, "-m", "tests.notifications.alert_process", emulator.base_url, str(tmp_path)]
    storm = [
        subprocess.Popen([*program, kind, "125", "5", "0.002"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    assert sum(int(process.communicate()[0]) for process in storm) == 1
    assert [process.returncode for process in storm] == [0] * 8
    assert emulator.twilio.ledger.recipients == {EVE: 1}
    (first,) = texts(client)
    assert "held back" not in first
    assert not [path for path in tmp_path.iterdir() if ".claim." in path.name]

    store = store_in(tmp_path, kind)
    assert client.run(send_alert(order(window=0.1), store)) == 1  # the window is over
    assert texts(client)[-1] == "orders.load failed, 999 held back"
    assert client.run(send_alert(order(), store)) == 0
    assert told(client, store) == "1 held back"


def test_a_storm_at_once_costs_each_alert_a_few_requests_whatever_their_number(
    client: Client, tmp_path: Path
) -> None:
    """The store serves one request after the other, as a busy API server does; everybody looks at once."""
    count, turn = 60, threading.Lock()

    class Queue(FolderBoard):
        def _wait(self) -> None:
            super()._wait()
            with turn:
                time.sleep(0.004)

    boards = [Queue(tmp_path) for _ in range(count)]
    start = threading.Barrier(count)

    def fail(board: FolderBoard) -> int:
        start.wait()
        return client.run(send_alert(order(), NameStore(board)))

    with ThreadPoolExecutor(count) as pool:
        assert sum(pool.map(fail, boards)) == 1
    asked = sorted(board.asked / 2 for board in boards)  # it waits before and after each request
    assert asked[-2] <= 12
    assert sum(asked) <= 6 * count + 40  # whoever stays looks again and again, but with longer pauses
    assert told(client, NameStore(boards[0])) == "59 held back"


@pytest.mark.parametrize("round_", range(3))
def test_a_storm_on_a_slow_store_never_lets_two_through(client: Client, tmp_path: Path, round_: int) -> None:
    start = threading.Barrier(12)

    def fail(_: int) -> int:
        start.wait()
        return client.run(send_alert(order(), store_in(tmp_path, "names", slow=0.15)))

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(fail, range(12))) == 1
    held = [path for path in tmp_path.iterdir() if ".held." in path.name]
    assert len(held) == 11


def test_that_others_are_at_the_gate_is_no_failure_of_the_store(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """There is somebody else at every look, for as long as one likes to wait."""

    class Crowded(FolderBoard):
        def names(self, prefix: str) -> list[str]:
            others = [f"{prefix}claim.{new_id(time.time())}"] if prefix.endswith(".gate.") else []
            return [*super().names(prefix), *others]

    assert client.run(send_alert(order(), NameStore(Crowded(tmp_path)))) == 0
    assert "STORM CONTROL IS OFF" not in caplog.text
    assert told(client, NameStore(FolderBoard(tmp_path))) == "1 held back"


def test_alerts_of_one_process_go_to_the_store_together(client: Client, tmp_path: Path) -> None:
    count, board = 40, FolderBoard(tmp_path, slow=0.2)
    start = threading.Barrier(count)

    def fail(_: int) -> int:
        start.wait()
        return client.run(send_alert(order(), NameStore(board)))

    with ThreadPoolExecutor(count) as pool:
        assert sum(pool.map(fail, range(count))) == 1
    assert board.asked / 2 < count
    board.slow = 0
    assert told(client, NameStore(board)) == "39 held back"


def test_a_storm_while_the_message_is_being_sent_is_held_back(
    emulator: Running, client: Client, another: Callable[[], AlertStore]
) -> None:
    """As long as that takes: nobody waits for it, and nobody takes it for a store that does not answer."""
    went_on, sending = threading.Event(), threading.Event()

    def writing() -> None:
        sending.set()
        assert went_on.wait(60)

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.run, send_alert(order(writing=writing), another()))
        assert sending.wait(60)
        assert [client.run(send_alert(order(), another())) for _ in range(5)] == [0] * 5
        went_on.set()
        assert slow.result() == 1
    assert texts(client) == ["orders.load failed"]
    assert told(client, another()) == "5 held back"


def test_a_storm_over_many_keys_keeps_to_what_the_connection_may_send_in_an_hour(
    emulator: Running, client: Client, another: Callable[[], AlertStore]
) -> None:
    hour = Gate(scope("connection", "c"), 3600.0, limit=5)

    def fail(number: int) -> int:
        key = Gate(scope("key", str(number)), 3600.0)
        return client.run(send_alert(order(gates=[key, hour]), another()))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(fail, range(40))) == 5
    wider = Gate(hour.scope, 3600.0, limit=6)
    assert client.run(send_alert(order(gates=[Gate(scope("key", "new"), 60.0), wider]), another())) == 1
    assert texts(client)[-1] == "orders.load failed, 35 held back"


def test_alerts_of_one_process_that_have_a_gate_in_common_ask_only_until_it_is_shut(
    client: Client, tmp_path: Path
) -> None:
    """Each of 40 keys may be told, but only 5 in an hour; who has to wait is held back with whoever asked."""
    count, limit = 40, 5

    class Gathered(FolderBoard):
        """The first that asks has its answer when all others stand in the line behind it."""

        def _wait(self) -> None:
            super()._wait()
            end = time.monotonic() + 30
            while self.asked == 1 and in_line() < count - 1 and time.monotonic() < end:
                time.sleep(0.001)

    def in_line() -> int:
        return sum(len(line.waiting) for line in list(deduplication._lines.values()))

    board = Gathered(tmp_path)
    hour = Gate(scope("connection", "c"), 3600.0, limit=limit)

    def fail(number: int) -> int:
        gates = [Gate(scope("key", str(number)), 3600.0), hour]
        return client.run(send_alert(order(gates=gates), NameStore(board)))

    with ThreadPoolExecutor(count) as pool:
        assert sum(pool.map(fail, range(count))) == limit
    held = [path.name for path in tmp_path.iterdir() if ".held." in path.name]
    assert len(held) <= limit + 1  # as many as may ask at a time once so many were let through
    wider = Gate(hour.scope, 3600.0, limit=limit + 1)
    gates = [Gate(scope("key", "new"), 60.0), wider]
    assert client.run(send_alert(order(gates=gates), NameStore(board))) == 1
    assert texts(client)[-1] == "orders.load failed, 35 held back"


def test_whoever_waits_at_a_gate_hears_that_the_store_does_not_answer(client: Client, tmp_path: Path) -> None:
    """Few ask, however many there are: each of them may have to wait until the request is given up."""
    count = 40

    class Silent(FolderBoard):
        def _wait(self) -> None:
            super()._wait()
            time.sleep(0.3)
            raise StoreFailed("no answer")

    board, hour = Silent(tmp_path), Gate(scope("connection", "c"), 3600.0, limit=5)
    start = threading.Barrier(count)

    def fail(number: int) -> int:
        start.wait()
        gates = [Gate(scope("key", str(number)), 3600.0), hour]
        return client.run(send_alert(order(gates=gates, without_store="hold"), NameStore(board)))

    with ThreadPoolExecutor(count) as pool:
        assert sum(pool.map(fail, range(count))) == 0
    assert board.asked <= 5


def test_without_a_window_each_is_sent_and_nobody_waits_for_another(
    emulator: Running, client: Client, tmp_path: Path
) -> None:
    boards = [FolderBoard(tmp_path) for _ in range(10)]
    with ThreadPoolExecutor(10) as pool:
        sent = pool.map(lambda board: client.run(send_alert(order(window=0), NameStore(board))), boards)
        assert sum(sent) == 10
    assert max(board.asked / 2 for board in boards) <= 4 + 10  # and what it clears away after the others
    assert not [path for path in tmp_path.iterdir() if ".claim." in path.name]


def test_a_claim_of_the_dead_lapses_and_the_next_alert_is_sent(
    client: Client, ahead: Ahead, another: Callable[[], AlertStore]
) -> None:
    assert client.run(another().enter(order().gates, lambda shut: 1)) is not None  # and dies before it sends
    assert client.run(send_alert(order(), another())) == 0
    ahead.seconds = 0.9 * alert_store.LEASE
    assert ahead.run(send_alert(order(), another())) == 0
    ahead.seconds = 1.1 * alert_store.LEASE
    assert ahead.run(send_alert(order(), another())) == 1
    assert texts(client) == ["orders.load failed, 2 held back"]
    assert ahead.run(send_alert(order(), another())) == 0


def test_hosts_whose_clocks_differ_by_seconds_send_one_and_count_the_others(
    client: Client, ahead: Ahead, another: Callable[[], AlertStore]
) -> None:
    ahead.seconds = 10
    assert ahead.run(send_alert(order(), another())) == 1
    assert client.run(send_alert(order(), another())) == 0
    assert ahead.run(send_alert(order(), another())) == 0
    ahead.seconds = 3700
    assert ahead.run(send_alert(order(), another())) == 1
    assert texts(client)[-1] == "orders.load failed, 2 held back"
    success = Alert("orders", "load", state="success")  # seen by the host that is behind
    assert client.run(send_alert(order(alert=success, recovering=order().gates), another())) == 1


def test_who_was_slower_than_its_claim_holds_back(
    client: Client, ahead: Ahead, another: Callable[[], AlertStore], lease: Callable[[float], None]
) -> None:
    """As a machine that stood still between its claim and its message: another alert was sent meanwhile."""

    def writing() -> None:
        ahead.seconds = 1.1 * alert_store.LEASE
        assert ahead.run(send_alert(order(), another())) == 1
        lease(1e-9)

    assert client.run(send_alert(order(writing=writing), another())) == 0
    assert texts(client) == ["orders.load failed"]


def test_a_claim_is_renewed_while_the_message_takes_its_time(
    client: Client, another: Callable[[], AlertStore], lease: Callable[[float], None]
) -> None:
    store = another()
    permit = client.run(store.enter(order().gates, lambda shut: 1))
    assert permit is not None
    began = permit.since
    lease(1000.0)
    permit.since -= 600
    assert client.run(store.renew(permit)) is True
    assert permit.since >= began
    permit.since -= 1001
    assert client.run(store.renew(permit)) is False


def test_a_store_that_forgets_is_noticed(client: Client, tmp_path: Path) -> None:
    class Forgetful(FolderBoard):
        def put(self, name: str, note: str) -> None:
            pass

    with pytest.raises(StoreFailed):
        client.run(NameStore(Forgetful(tmp_path)).enter(order().gates, lambda shut: 1))


def test_a_message_that_failed_leaves_its_place_to_the_next(
    client: Client, store: AlertStore, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.run(send_alert(order(sender="+15005550007"), store)) == 0
    assert "THE ALERT WAS NOT SENT to recipient 1 of 1" in caplog.text
    assert "21606 (the sender is not this account's, or cannot send SMS" in caplog.text
    assert EVE not in caplog.text
    assert client.run(send_alert(order(), store)) == 1
    assert client.run(send_alert(order(), store)) == 0


@pytest.mark.parametrize("error", [KeyError("text"), StoreFailed("of all things")])
def test_an_alert_that_cannot_be_written_leaves_its_place_to_the_next(
    client: Client, store: AlertStore, error: Exception
) -> None:
    def writing() -> None:
        raise error

    if isinstance(error, KeyError):
        with pytest.raises(KeyError):
            client.run(send_alert(order(writing=writing), store))
    else:
        assert client.run(send_alert(order(writing=writing), store)) == 0
    assert client.run(send_alert(order(), store)) == 1


def test_a_message_of_which_nobody_knows_is_not_repeated(
    emulator: Running, client: Client, store: AlertStore, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.twilio.faults.add(Fault(kind="drop_after", method="POST", path="/Messages.json$"))
    assert client.run(send_alert(order(), store)) == 0
    assert client.run(send_alert(order(), store)) == 0
    assert emulator.twilio.ledger.recipients == {EVE: 1}
    assert "Nobody knows whether recipient 1 of 1 was alerted" in caplog.text


def test_recovery_is_told_once_and_only_after_an_alert(
    client: Client, another: Callable[[], AlertStore], tmp_path: Path
) -> None:
    success = Alert("orders", "load", state="success")
    gates = order().gates
    assert client.run(send_alert(order(alert=success, recovering=gates), another())) == 0
    for _ in range(3):
        client.run(send_alert(order(), another()))
    with ThreadPoolExecutor(8) as pool:
        ends = pool.map(
            lambda _: client.run(send_alert(order(alert=success, recovering=gates), another())), range(8)
        )
        assert sum(ends) == 1
    assert texts(client) == ["orders.load failed", "orders.load recovered, 2 held back"]
    assert [path.name for path in tmp_path.iterdir() if path.name != "db"] == []
    assert client.run(send_alert(order(), another())) == 1  # the next failure is news again
    assert client.run(send_alert(order(), another())) == 0
    assert client.run(send_alert(order(alert=success, recovering=gates), another())) == 1
    assert texts(client)[-1] == "orders.load recovered, 1 held back"


def test_quiet_hours_hold_back_and_count(client: Client, store: AlertStore) -> None:
    assert [client.run(send_alert(order(quiet=True), store)) for _ in range(2)] == [0, 0]
    client.run(send_alert(order(), store))
    assert texts(client) == ["orders.load failed, 2 held back"]
    client.run(send_alert(order(quiet=True), store))
    assert told(client, store) == "1 held back"


def test_where_only_reading_is_allowed_what_others_sent_counts(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    board, reader = FolderBoard(tmp_path), FolderBoard(tmp_path, writable=False)
    assert client.run(send_alert(order(), NameStore(reader))) == 1
    assert client.run(send_alert(order(), NameStore(reader))) == 1  # nobody could write the first one down
    assert "can only be read here" in caplog.text
    client.run(send_alert(order(), NameStore(board)))
    assert client.run(send_alert(order(), NameStore(reader))) == 0


@pytest.mark.parametrize(("without_store", "sent"), [("send", 1), ("hold", 0)])
def test_without_a_store_it_says_so_and_does_what_the_author_chose(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture, without_store: str, sent: int
) -> None:
    class Broken(FolderBoard):
        def names(self, prefix: str) -> list[str]:
            raise StoreFailed("it is not there")

    given = order(without_store=without_store)
    assert client.run(send_alert(given, NameStore(Broken(tmp_path)))) == sent
    assert "STORM CONTROL IS OFF: The folder cannot be asked" in caplog.text


def test_what_cannot_be_counted_is_held_back_all_the_same(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(FolderBoard):
        def put(self, name: str, note: str) -> None:
            raise StoreFailed("it takes no more")

    client.run(send_alert(order(), NameStore(FolderBoard(tmp_path))))
    assert client.run(send_alert(order(), NameStore(Full(tmp_path)))) == 0
    assert "did not count an alert that is held back: it takes no more" in caplog.text
    assert "STORM CONTROL IS OFF" not in caplog.text
