"""A webhook that takes Twilio's events, for tests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from airflow_provider_twilio_comms.emulator.credentials import AUTH_TOKEN
from airflow_provider_twilio_comms.plugins.webhooks.signature import Secret, genuine

__all__ = ["Receiver", "received", "until"]


class Receiver(ThreadingHTTPServer):
    """A webhook: the events that came, in order; ``refusals`` answers are 503 first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: list[dict[str, Any]] = []
        self.batches: list[int] = []
        self.refusals = 0
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver: Any = self.server
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        url = f"{receiver.url}{self.path}"
        status = 204 if genuine([Secret(AUTH_TOKEN)], url, headers, body, ()) else 403
        if receiver.refusals:
            receiver.refusals, status = receiver.refusals - 1, 503
        if status == 204:
            receiver.events += json.loads(body)
            receiver.batches.append(len(json.loads(body)))
        self.send_response(status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def received() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()


def until(true: Callable[[], Any], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
