"""Processes that a test kills: forked from one that has imported Airflow, which all tests share.

Python starts that one process on first use; what others want imported there comes too late, and a name that
does not exist is passed over. So everything is named here, and not by those who use it.
"""

from __future__ import annotations

import multiprocessing

__all__ = ["FORKED", "IMPORTED"]

IMPORTED = [
    "tests.conftest",
    "tests.operators.bulk_sends",
    "tests.operators.campaign_process",
    "tests.operators.killed_worker",
    "airflow_provider_twilio_comms.operators.send_message",
    "airflow_provider_twilio_comms.transfers.messages_to_object_storage",
    "airflow_provider_twilio_comms.transfers.messages_to_sql",
]

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(IMPORTED)
