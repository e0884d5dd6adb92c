"""The opt-out loop: keep a table of who refused and who came back, and leave those out who refused.

The Twilio connection names the table, ``"consent": {"conn_id": "campaigns", "table": "opt_outs"}``, and has a
``hash_secret``: people are in it as hashes. Every send with that connection keeps to it.
"""

from __future__ import annotations

import tempfile

import pendulum
from airflow.sdk import DAG, Param

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.deactivations import TwilioDeactivatedNumbersOperator
from airflow_provider_twilio_comms.operators.opt_outs import TwilioOptOutsOperator

YESTERDAY = "{{ macros.ds_add(dag_run.run_after.strftime('%Y-%m-%d'), -1) }}"
LIST = "{{ params.folder }}/deactivated.txt"

with DAG(
    "twilio_opt_outs",
    description=__doc__.partition("\n")[0],
    schedule="0 15 * * *",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,
    params={"folder": Param(tempfile.gettempdir(), description="A folder for the deactivated numbers")},
    doc_md=__doc__,
    tags=["twilio", "opt-out", "bulk", "sql"],
) as dag:
    deactivated = TwilioDeactivatedNumbersOperator(task_id="deactivated", day=YESTERDAY, output_path=LIST)
    opt_outs = TwilioOptOutsOperator(
        task_id="opt_outs",
        create_table=True,
        words={"stop": ["BASTA"], "start": ["SEMPRE"]},
        deactivated={"path": LIST, "day": YESTERDAY},
    )
    offer = TwilioBulkMessageOperator(
        task_id="offer",
        recipients=["+12025550101", "+12025550102", "+12025550103"],
        content="Two for one this week. Answer STOP to get no offers.",
        sender="+15005550006",
    )
    order = TwilioBulkMessageOperator(
        task_id="order",
        recipients=["+12025550101"],
        content="Your order is on its way.",
        sender="+15005550006",
        purpose="transactional",
    )
    deactivated >> opt_outs >> [offer, order]
