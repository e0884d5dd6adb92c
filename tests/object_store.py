"""A real S3-compatible server on a loopback port (moto's), which can kill whoever writes to it."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

__all__ = ["BUCKET", "ObjectStore", "attached", "object_store_running"]

BUCKET = "lake"
CONN_ID = "aws"


class ObjectStore:
    """Requests that write are counted; a process dies at one of them, before or after its effect."""

    def __init__(self) -> None:
        self.url = ""
        self.writes: list[str] = []
        self.refuses = False
        self._kill: tuple[int, Literal["before", "after"]] | None = None
        self._pid = 0
        self._known = threading.Event()

    def expect(self, kill: tuple[int, Literal["before", "after"]] | None = None) -> None:
        """Count from 1 again, and kill whoever makes the request of that number."""
        self.writes, self._kill = [], kill
        self._known.clear()

    def name_victim(self, pid: int) -> None:
        self._pid = pid
        self._known.set()

    def wrap(self, app: Any) -> Callable[..., Iterable[bytes]]:
        def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
                return app(environ, start_response)  # type: ignore[no-any-return]
            self.writes.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
            if self.refuses:
                start_response("400 Bad Request", [("Content-Type", "application/xml")])
                return [b"<Error><Code>InvalidRequest</Code><Message>not today</Message></Error>"]
            due = self._kill and self._kill[0] == len(self.writes)
            if due and self._kill and self._kill[1] == "before":
                self._die()
                start_response("503 Service Unavailable", [])
                return [b""]
            answer = list(app(environ, start_response))
            if due:
                self._die()
            return answer

        return serve

    def _die(self) -> None:
        assert self._known.wait(30)
        os.kill(self._pid, signal.SIGKILL)


def filesystem(url: str) -> Any:
    """Return what Airflow's Amazon provider makes of a connection, save that it needs no such provider."""
    import s3fs

    return s3fs.S3FileSystem(key="key", secret="secret", endpoint_url=url, skip_instance_cache=True)


def attached(url: str) -> None:
    """Let ``s3://aws@lake/...`` name this server in this process."""
    from airflow.sdk.io import store

    store._STORE_CACHE.pop(f"s3-{CONN_ID}", None)
    store.attach("s3", conn_id=CONN_ID, fs=filesystem(url))


@contextmanager
def object_store_running() -> Iterator[ObjectStore]:
    """A server with an empty bucket, while the block lasts."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    made = ObjectStore()
    app = made.wrap(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, name="object-store")
    thread.start()
    try:
        attached(made.url)
        filesystem(made.url).mkdir(BUCKET)
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
