"""Recipe: a text about bad data, and an alert if the check itself dies.

The check returns its findings, and a single message tells them to whoever is on call. The notifier on the
task tells of an error in the check. It is on the task, since Airflow does not call ``on_failure_callback`` of
a DAG whose last task, such as one with ``trigger_rule="one_failed"``, turns the run green.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.notifications.twilio import TwilioNotifier
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator

ON_CALL = "{{ var.value.get('twilio_on_call', '+12025550143') }}"
SENDER = "+15005550006"

with DAG(
    "twilio_recipe_data_quality",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "recipe", "single message", "alert"],
):

    @task(on_failure_callback=TwilioNotifier(to=ON_CALL, from_=SENDER, severity="critical"))
    def check() -> dict[str, int]:
        """Count what is wrong, in place of your own check."""
        return {"orders without a customer": 12, "negative totals": 3}

    @task.short_circuit
    def text(findings: dict[str, int]) -> str:
        """Write the message; an empty one skips what follows."""
        return ", ".join(f"{count} {what}" for what, count in findings.items() if count)

    findings = text(check())
    tell = TwilioSendMessageOperator(
        task_id="tell",
        to=ON_CALL,
        from_=SENDER,
        body=findings,
        wait_for="delivered",
        deferrable=True,
        retries=2,
    )
