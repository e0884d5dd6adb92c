"""Files of the SIDs of classic bulk sends, one a line, wherever Airflow's ObjectStoragePath reaches."""

from __future__ import annotations

import logging
from functools import lru_cache

from airflow_provider_twilio_comms._core.waiting.sent_messages import SentMessages, SidSet

log: logging.Logger = logging.getLogger(__name__)


def read_sids(sent: SentMessages) -> SidSet | None:
    """Read the SIDs of a send; None if no file has them all. A file that fails to open is tried again."""
    if sent.sids_path is None:
        return None
    try:
        sids = _read(sent.sids_path)
    except Exception as error:  # whatever a storage raises
        log.warning(
            "The SIDs in %s cannot be read (%s): rows count by sender and time", sent.sids_path, error
        )
        return None
    if len(sids) == sent.sent:
        return sids
    log.warning("%s holds %s SIDs in place of %s", sent.sids_path, f"{len(sids):,}", f"{sent.sent:,}")
    return None


@lru_cache(16)
def _read(path: str) -> SidSet:
    from airflow.sdk import ObjectStoragePath

    with ObjectStoragePath(path).open("r") as file:
        return SidSet(line.strip() for line in file if line.strip())
