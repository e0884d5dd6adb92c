"""From customers to a personal message: stored profiles, a cohort, a snapshot of it, a send, and receipts.

The connection ``bookings`` is a PostgreSQL with the table of ``data/customers.sql``; ``twilio_preview`` is a
Twilio connection with ``comms_version`` set to ``preview``. Cohorts are a private beta at Twilio.
"""

from __future__ import annotations

import time

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.cohorts import TwilioCohortOperator, TwilioCohortSnapshotOperator
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from airflow_provider_twilio_comms.transfers.sql_to_twilio_profiles import SqlToTwilioProfilesOperator

TWILIO = {"twilio_conn_id": "twilio_preview"}
STORE = "{{ ti.xcom_pull('store') }}"

with DAG(
    "twilio_people",
    schedule="@weekly",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    is_paused_upon_creation=True,
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "people", "sql"],
):

    @task
    def store() -> str:
        """Find the memory store of the shop, or create it with its traits."""
        from airflow_provider_twilio_comms.api.flows import every_item
        from airflow_provider_twilio_comms.api.memory import operations, stores, trait_groups
        from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

        hook = TwilioHook(**TWILIO)
        for store_id in hook.run(every_item(stores.list())):
            if hook.run(stores.fetch(store_id)).display_name == "shop":
                return store_id
        operation = hook.run(stores.create("shop")).operation_id
        while not (done := hook.run(operations.fetch(operation))).done:
            time.sleep(1)
        hook.run(trait_groups.create(done.resource_id, "Orders", {"lapsed": "BOOLEAN"}))
        return done.resource_id

    profiles = SqlToTwilioProfilesOperator(
        task_id="profiles",
        sql_conn_id="bookings",
        sql="SELECT id, phone, first_name, city, last_order < current_date - 180 AS lapsed FROM customers",
        resume_column="id",
        store_id=STORE,
        traits={
            "phone": "Contact.phone",
            "first_name": "Contact.firstName",
            "city": "Contact.city",
            "lapsed": "Orders.lapsed",
        },
        hashes_conn_id="bookings",
        hashes_table="customer_hashes",
        **TWILIO,
    )
    lapsed = TwilioCohortOperator(
        task_id="lapsed",
        store_id=STORE,
        display_name="lapsed, in Lisbon",
        criteria='profile.trait.Orders.lapsed == true && profile.trait.Contact.city == "Lisbon"',
        **TWILIO,
    )
    group = TwilioCohortSnapshotOperator(
        task_id="group",
        cohort_id="{{ ti.xcom_pull('lapsed')['cohort_id'] }}",
        min_profiles=10,
        max_profiles=1_000,
        deferrable=True,
        poll_interval=2,
        **TWILIO,
    )
    send = TwilioBulkMessageOperator(
        task_id="send",
        recipients={
            "cohort_snapshot_id": "{{ ti.xcom_pull('group')['cohort_snapshot_id'] }}",
            "variables": {"name": "${Twilio.Profile.Contact.firstName}"},
        },
        content="Hi {{ name | default: 'there' }}, we have missed you. A coffee is on us this week.",
        sender="comms_senderpool_01h9krwprkeee8fzqspvwy6nq8",  # RCS, and SMS for those without
        max_recipients=1_000,
        wait_for="delivered",
        min_delivered=0.9,
        deferrable=True,
        poll_interval=5,
        retries=2,
        **TWILIO,
    )
    receipts = TwilioReceiptsOperator(
        task_id="receipts",
        operation_ids=send.output,
        sql_conn_id="bookings",
        table="campaign_receipts",
        create_table=True,
        **TWILIO,
    )

    @task
    def joined(store_id: str) -> dict[str, int]:
        """Note the profiles of the customers that were written to, and count by channel who was reached."""
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        from airflow_provider_twilio_comms.api.memory import profiles
        from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

        twilio, database = TwilioHook(**TWILIO), PostgresHook("bookings")
        for number, phone in database.get_records("SELECT id, phone FROM customers WHERE profile_id IS NULL"):
            found = twilio.run(profiles.lookup(store_id, "phone", phone)).profiles
            database.run("UPDATE customers SET profile_id = %s WHERE id = %s", parameters=(found[0], number))
        rows = database.get_records(
            "SELECT channel, count(*) FROM customers JOIN campaign_receipts USING (profile_id) "
            "WHERE status IN ('DELIVERED', 'READ') GROUP BY channel ORDER BY channel"
        )
        return dict(rows)

    stored = store()
    stored >> profiles >> lapsed >> group >> send
    receipts >> joined(stored)
