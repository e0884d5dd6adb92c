"""A campaign through the classic API: everyone in a file, from a number or a messaging service.

The same operator as in ``twilio_bulk_campaign``, in one line's difference: ``generation="classic"``. The
sender may then be a messaging service (``MG...``), with its registered campaign and opt-out keywords.
"""

from __future__ import annotations

from pathlib import Path

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

RECIPIENTS = Path(__file__).parent / "data" / "recipients.csv"

with DAG(
    "twilio_classic_campaign",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "bulk", "classic"],
):
    send = TwilioBulkMessageOperator(
        task_id="send",
        generation="classic",
        recipients="{{ params.recipients }}",
        number_column="phone",
        content="Hello {{ name | default: 'there' }}, your order {{ order_number }} is ready to collect.",
        sender="+15005550006",
        messages_per_second=500,  # as for a service with five short codes; a number alone sends one
        wait_for="delivered",
        min_delivered=0.9,
        deferrable=True,
        poll_interval=5,
        on_invalid_recipient="skip",
        retries=2,
        retry_delay=pendulum.duration(seconds=5),
        params={"recipients": str(RECIPIENTS)},
    )

    @task
    def report(sent: dict) -> str:
        """Report the counts, for a message to the campaign's owner."""
        counts = ", ".join(f"{name} {count}" for name, count in sent["stats"].items() if count)
        return f"{sent['messages']['sent']} of {sent['recipients']} messages were sent: {counts}"

    report(send.output)
