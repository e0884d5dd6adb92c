"""Asks for an approval by text."""

from __future__ import annotations

import datetime

from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.operators.approval import TwilioApprovalOperator

with DAG("stack_asks", schedule=None):

    @task
    def after(answer: dict[str, str]) -> str:
        return f"{answer['option']} by {answer['answered_by']} via {answer['via']}"

    approve = TwilioApprovalOperator(
        task_id="approve",
        subject="Go on with {{ run_id }}?",
        approvers={"Ada": "{{ var.json.people.ada }}", "Grace": "{{ var.json.people.grace }}"},
        from_="+15005550006",
        default="NO",
        on_reject="go_on",
        timeout=datetime.timedelta(minutes=4),
        poll_interval=3,
        retries=2,
        retry_delay=datetime.timedelta(seconds=1),
    )
    after(approve.output)
