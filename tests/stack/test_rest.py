"""The demo's client of Airflow, with an Airflow that does not answer as it should."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from airflow_provider_twilio_comms.demo.rest import Airflow, RestFailed

LOCKED = (500, b'{"detail": {"reason": "Database error"}}')
BUSY = (503, b'{"detail": "Database is locked. Backfill creation is not supported on SQLite"}')


class Answers(BaseHTTPRequestHandler):
    """Answers in the order given; a token is there for the asking."""

    left: ClassVar[list[tuple[int, bytes]]] = []

    def do_GET(self) -> None:
        self.answer(201, b'{"access_token": "t"}')

    def do_PATCH(self) -> None:
        self.answer(*self.left.pop(0))

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = Airflow(f"http://127.0.0.1:{server.server_port}")
        yield client
        client.close()
        server.shutdown()


def test_two_writers_that_meet_in_sqlite_are_asked_again(airflow: Airflow) -> None:
    Answers.left = [LOCKED, (401, b""), BUSY, (200, b'{"state": "success"}')]
    assert airflow.call("PATCH", "/x") == {"state": "success"}


@pytest.mark.parametrize(
    "left", [[LOCKED] * 4, [(500, b"Oops")], [(404, b"")]], ids=["locked", "oops", "none"]
)
def test_what_stays_wrong_is_told(airflow: Airflow, left: list[tuple[int, bytes]]) -> None:
    Answers.left = list(left)
    with pytest.raises(RestFailed) as failure:
        airflow.call("PATCH", "/x")
    assert (failure.value.status, Answers.left) == (left[-1][0], [])
