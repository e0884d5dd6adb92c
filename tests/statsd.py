"""A StatsD server: a socket that gets what Airflow's own metrics send, and keeps what is ours."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from statsd import StatsClient

from airflow_provider_twilio_comms.demo.processes import until
from airflow_provider_twilio_comms.hooks._metrics import METRICS
from tests.conftest import environment

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

__all__ = ["Client", "Told", "listening", "settle", "told", "told_here"]

# A metric and its tags, as InfluxDB's flavour of StatsD writes them: name,tag=value,tag=value
Key = tuple[str, frozenset[tuple[str, str]]]


class Told:
    """List what was told: counters added up, and every value of gauges and timers (milliseconds)."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.kinds: dict[str, str] = {}
        self.counters: Counter[Key] = Counter()
        self.values: defaultdict[Key, list[float]] = defaultdict(list)

    @property
    def env(self) -> dict[str, str]:
        """The environment that makes Airflow send here."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def take(self, packet: str) -> None:
        for line in packet.splitlines():
            key, _, value = line.partition(":")
            name, *tags = key.removeprefix("airflow.").split(",")
            if not name.startswith("twilio."):
                continue
            number, kind = value.split("|")[:2]
            found = (name, frozenset((tag.split("=")[0], tag.split("=")[1]) for tag in tags))
            self.kinds[name] = {"c": "counter", "g": "gauge", "ms": "timer"}[kind]
            if kind == "c":
                self.counters[found] += int(number)
            else:
                self.values[found].append(float(number))

    @property
    def keys(self) -> set[Key]:
        return set(self.counters) | set(self.values)

    def count(self, name: str, **tags: str) -> int:
        """A counter, over all whose tags have these values."""
        wanted = tags.items()
        return sum(number for key, number in self.counters.items() if key[0] == name and wanted <= key[1])

    def wait(self, condition: Callable[[Told], bool], what: str, timeout: float = 5.0) -> None:
        until(lambda: condition(self), timeout=timeout, what=what, interval=0.02)


class Client(StatsClient):  # type: ignore[misc]
    """Airflow's client; it closes none, not even one that it replaces, so these are kept to be closed."""

    made: ClassVar[list[StatsClient]] = []

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.made.append(self)

    @classmethod
    def close_all(cls) -> None:
        while cls.made:
            cls.made.pop().close()


@contextmanager
def listening() -> Iterator[Told]:
    """A server on a free port of this machine. It has read what was sent by the time the block ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.05)
        told, ending = Told(server.getsockname()[1]), threading.Event()

        def read() -> None:
            while True:
                try:
                    told.take(server.recv(65_535).decode())
                except TimeoutError:
                    if ending.is_set():
                        return

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield told
        finally:
            ending.set()
            thread.join()


@contextmanager
def told_here() -> Iterator[Told]:
    """The same, and Airflow in this process tells it. ``[metrics]`` is read as in any process of Airflow."""
    from airflow.sdk import serde

    own = {"AIRFLOW__METRICS__STATSD_CUSTOM_CLIENT_PATH": "tests.statsd.Client"}
    try:
        with listening() as told, environment(**told.env, **own):
            serde._register()
            yield told
    finally:
        serde._register()
        Client.close_all()


@pytest.fixture
def told(emulator: Running) -> Iterator[Told]:
    """Return what a test has told; it is in the table, with the table's tags, and none holds a number."""
    emulator.twilio.change(pace=0.0)
    with told_here() as told:
        yield told
    assert told.keys
    for name, tags in told.keys:
        assert told.kinds[name] == METRICS[name].kind
        assert {tag for tag, _ in tags} == set(METRICS[name].tags), name
        assert not [value for _, value in tags if re.search(r"\d{5}", value)]


def settle(told: Told, name: str, number: int, **tags: str) -> None:
    """Wait until a counter has been told; it is never more."""
    told.wait(lambda told: told.count(name, **tags) >= number, f"{name} to be {number}")
    assert told.count(name, **tags) == number
