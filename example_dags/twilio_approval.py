"""Approval by text: ask the people on call before doing something that cannot be undone."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.operators.approval import TwilioApprovalOperator

with DAG(
    "twilio_approval",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "approval"],
    params={"on_call": ["+12025550143", "+12025550144"]},
    render_template_as_native_obj=True,
):
    approve = TwilioApprovalOperator(
        task_id="approve",
        subject="Drop last year's orders?",
        approvers="{{ params.on_call }}",
        from_="+15005550006",
        default="NO",
        on_reject="go_on",
        timeout=120,
        retries=2,
    )

    @task
    def drop(answer: dict[str, str]) -> str:
        return f"{answer['option']}, says {answer['answered_by']}"

    drop(approve.output)
