"""Files of a task, wherever Airflow's ObjectStoragePath reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.sending.recipients import Reject

__all__ = ["opened_rejects", "resolved"]


def resolved(recipients: Any) -> Any:
    """Recipients as they are; a path or URI as a file that can be opened."""
    if not isinstance(recipients, str):
        return recipients
    if not recipients.strip():
        raise InvalidInput.at("recipients", "the path is empty", "Check the template that renders to it")
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(recipients.strip())


@contextmanager
def opened_rejects(path: str | None) -> Iterator[Callable[[Reject], None]]:
    """Where rejects go: JSON lines of ``row``, ``field``, ``problem`` and what was ``given``; or nowhere."""
    if not path:
        yield lambda reject: None
        return
    from airflow.sdk import ObjectStoragePath

    try:
        file = ObjectStoragePath(path).open("wb")
    except OSError as error:
        raise InvalidInput.at(
            "rejects_path", f"cannot be written ({error.strerror or error})", "Check it"
        ) from error
    lines: list[bytes] = []
    encoder = msgspec.json.Encoder(enc_hook=str)

    def write() -> None:
        file.write(b"".join(line + b"\n" for line in lines))
        lines.clear()

    def reject(found: Reject) -> None:
        lines.append(encoder.encode(found._asdict()))
        if len(lines) == 1000:
            write()

    with file:
        yield reject
        write()
