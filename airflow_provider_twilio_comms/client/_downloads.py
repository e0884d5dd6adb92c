"""Files that lie elsewhere: what reading and writing them has in common over both transports."""

from __future__ import annotations

from airflow_provider_twilio_comms.api.flows import Download, Upload
from airflow_provider_twilio_comms.exceptions import ApiError, ServerFailed, TransportFailed

BLOCK = 256 * 1024  # bytes of a file that are held at a time


def emptied(download: Download) -> Download:
    """The download, its file as empty as before the first attempt."""
    download.into.seek(0)
    download.into.truncate()
    return download


def unkept(file: Download | Upload, status: int) -> ApiError:
    """The error of a storage that does not hand the file out, or does not take it.

    None is final: an address is good for minutes only, and the task's next try gets a new one.
    """
    cls = ServerFailed if status >= 500 else ApiError
    problem = "not the file" if isinstance(file, Download) else "and did not take the file"
    return cls(f"{file.path} answered {status}, {problem}", status=status, verdict="retry", errors=[])


def broken(file: Download | Upload, what: str) -> TransportFailed:
    """The error of a file that did not arrive whole."""
    return TransportFailed(f"{file.method} {file.path}: {what}", sent=True)
