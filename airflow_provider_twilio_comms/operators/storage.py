"""From Twilio's storage to the author's, whole or not at all, in bounded memory."""

from __future__ import annotations

import shutil
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

from airflow_provider_twilio_comms._core.resources.media import fetched
from airflow_provider_twilio_comms._tasks.table_files import whole
from airflow_provider_twilio_comms.client._downloads import BLOCK

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_twilio_comms.api._resources import Elsewhere
    from airflow_provider_twilio_comms.api.wire import Call
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

__all__ = ["stored"]

IN_MEMORY = 4_000_000  # bytes of a file, before it goes to a temporary file on disk


def stored(hook: TwilioHook, source: Call[Elsewhere], target: ObjectStoragePath) -> tuple[int, int]:
    """Copy a file to ``target``; returns how many bytes and how many lines it has.

    It is there whole before anything is written: a line that breaks leaves no half file behind.
    """
    with SpooledTemporaryFile(max_size=IN_MEMORY) as copy:
        size = hook.run(fetched(source, copy))
        copy.seek(0)
        lines = sum(block.count(b"\n") for block in iter(lambda: copy.read(BLOCK), b""))
        copy.seek(0)
        with whole(target) as file:
            shutil.copyfileobj(copy, file, BLOCK)
    return size, lines
