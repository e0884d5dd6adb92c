"""Alerts of four processes at once, which a table of MariaDB keeps to one text."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.notifications.twilio import TwilioNotifier

with DAG("mariadb_storm", schedule=None):

    @task
    def storm(number: int, **context: object) -> None:
        """As 50 tasks that fail one after the other would, in one of four processes."""
        context["exception"] = ValueError("no rows")
        alert = TwilioNotifier(
            to="+12025550176",
            from_="+15005550006",
            alert_store="alerts",
            dedupe_key="mariadb",
            window=timedelta(hours=1),
        )
        for _ in range(50):
            alert(context)  # type: ignore[no-untyped-call]

    storm.expand(number=list(range(4)))
