"""Many alerts at once, from a process of their own: ``python -m tests.notifications.alert_process ...``.

The board is a folder, whose files are the names: creating and removing one is atomic, and every process sees
it. ``slow`` seconds pass, at most, before and after each of its verbs.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from airflow_provider_twilio_comms._core.alerts.alert import Alert
from airflow_provider_twilio_comms._core.alerts.send import Order, alerted
from airflow_provider_twilio_comms._core.alerts.store import Gate, scope
from airflow_provider_twilio_comms._core.sending.message import OutgoingMessage, compose
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.client.sync import Client
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

__all__ = ["EVE", "FROM", "FolderBoard", "config", "order"]

EVE, FROM = "+12025550124", "+15005550006"
ALERT = Alert("orders", "load")


class FolderBoard:
    """A set of names that every process sees."""

    def __init__(self, folder: Path, slow: float = 0.0, *, writable: bool = True) -> None:
        self.folder, self.slow, self.writable = folder, slow, writable

    def names(self, prefix: str) -> Sequence[str]:
        self._wait()
        found = [path.name for path in self.folder.iterdir() if path.name.startswith(prefix)]
        self._wait()
        return found

    def put(self, name: str, note: str) -> None:
        self._wait()
        (self.folder / name).write_text(note)
        self._wait()

    def drop(self, name: str) -> None:
        self._wait()
        (self.folder / name).unlink(missing_ok=True)
        self._wait()

    def _wait(self) -> None:
        if self.slow:
            time.sleep(random.uniform(0, self.slow))


def config(base_url: str) -> Config:
    return Config(ACCOUNT_SID, ACCOUNT_SID, AUTH_TOKEN, base_url=base_url)


def order(
    key: str = "orders",
    window: float = 3600.0,
    alert: Alert = ALERT,
    sender: str = FROM,
    **kwargs: object,
) -> Order:
    """An alert to one person, whose text is the default one."""
    gates = kwargs.pop("gates", None) or [Gate(scope("key", key), window, note=key)]

    def write(about: Alert) -> OutgoingMessage:
        return compose([EVE], {"from_": sender, "body": about.text}, lambda address: True)

    return Order(alert, gates, write, **kwargs)  # type: ignore[arg-type]


def main(url: str, folder: str, count: str, threads: str, slow: str) -> None:
    client, board = Client(config(url)), FolderBoard(Path(folder), float(slow))
    with ThreadPoolExecutor(int(threads)) as pool:
        sent = list(pool.map(lambda number: client.run(alerted(order(), board)), range(int(count))))
    client.close()
    print(sum(sent))


if __name__ == "__main__":
    main(*sys.argv[1:])
