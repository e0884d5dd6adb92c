"""Replies without an end, over time or in bytes: both runners give them up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from airflow_provider_twilio_comms.api.comms import messages, senders
from airflow_provider_twilio_comms.client._exchange import LARGEST, WHOLE
from airflow_provider_twilio_comms.exceptions import SendUncertain, TransportFailed
from tests.client.conftest import Connect

SEND = messages.send([{"address": "+12025550100", "channel": "PHONE"}], "Hello")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"


@contextmanager
def saying(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that says this to whoever asks; gives its address."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, suppress(OSError):
                    connection.recv(65536)
                    speak(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/{{product}}"
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)


def trickle(connection: socket.socket) -> None:
    connection.sendall(HEAD)
    for _ in range(300):
        connection.sendall(b" ")
        time.sleep(0.1)


def flood(connection: socket.socket) -> None:
    connection.sendall(HEAD)
    block = b" " * 2**20
    for _ in range(4 * LARGEST // len(block)):
        connection.sendall(block)


def test_a_reply_that_trickles_is_given_up(connect: Connect) -> None:
    with saying(trickle) as base_url:
        runner = connect(base_url=base_url, timeout=0.4, max_attempts=1)
        began = time.monotonic()
        with pytest.raises(TransportFailed, match=f"no whole answer within {WHOLE * 0.4:g} s") as caught:
            runner.run(senders.list())
        assert caught.value.sent is True
        assert time.monotonic() - began < 20  # and not the 30 s for which it goes on


def test_a_reply_without_an_end_is_given_up(connect: Connect) -> None:
    with saying(flood) as base_url:
        runner = connect(base_url=base_url, timeout=30, max_attempts=1)
        with pytest.raises(TransportFailed, match="larger than 64 MiB"):
            runner.run(senders.list())


def test_a_send_whose_reply_is_given_up_is_uncertain(connect: Connect) -> None:
    with saying(trickle) as base_url, pytest.raises(SendUncertain, match="no whole answer"):
        connect(base_url=base_url, timeout=0.4).run(SEND)
