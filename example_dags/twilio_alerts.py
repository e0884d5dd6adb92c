"""Alert the person on call to failures, at most once in 15 minutes, and to the recovery."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.notifications.twilio import TwilioNotifier

# A Variable, so that the number is neither in this file nor, with a deadline, in Airflow's database.
ON_CALL = "{{ var.value.get('twilio_on_call', '+12025550143') }}"
FROM = "+15005550006"

failures = TwilioNotifier(
    to=ON_CALL,
    from_=FROM,
    severity="critical",
    window=timedelta(minutes=15),  # one message, even if many mapped tasks fail on many workers
    max_per_hour=20,  # all alerts of this connection together
    on_recovery=True,
    send_if="{{ not alert.backfill }}",
    quiet_hours="22:00-07:00 Europe/Lisbon",
    always_for={"critical"},
)
retries = TwilioNotifier(to=ON_CALL, from_=FROM, text="{{ alert.headline }}: {{ alert.error }}", window=3600)

with DAG(
    "twilio_alerts",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "alert"],
    default_args={
        "on_failure_callback": failures,
        "on_success_callback": failures,  # sends only the recovery
        "on_retry_callback": retries,
    },
    # With a deadline: callback=AsyncCallback(TwilioNotifier, kwargs={"to": ON_CALL, "from_": FROM}).
) as dag:

    @task(retries=1, retry_delay=timedelta(seconds=1))
    def load(table: str, **context: object) -> str:
        if context["ti"].try_number == 1:  # type: ignore[attr-defined]
            raise ConnectionError(f"{table} is locked")
        return table

    load.expand(table=["orders", "customers", "refunds"])
