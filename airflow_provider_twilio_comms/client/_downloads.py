"""A file that lies elsewhere: what reading it has in common over both transports."""

from __future__ import annotations

from airflow_provider_twilio_comms.api.flows import Download
from airflow_provider_twilio_comms.exceptions import ApiError, ServerFailed, TransportFailed

BLOCK = 256 * 1024  # bytes of a file that are held at a time


def emptied(download: Download) -> Download:
    """The download, its file as empty as before the first attempt."""
    download.into.seek(0)
    download.into.truncate()
    return download


def unkept(download: Download, status: int) -> ApiError:
    """The error of a storage that does not hand the file out.

    None is final: an address is good for minutes only, and the task's next try gets a new one.
    """
    cls = ServerFailed if status >= 500 else ApiError
    return cls(f"{download.path} answered {status}, not the file", status=status, verdict="retry", errors=[])


def broken(download: Download, what: str) -> TransportFailed:
    """The error of a file that did not arrive whole."""
    return TransportFailed(f"GET {download.path}: {what}", sent=True)
