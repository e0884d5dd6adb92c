"""Events that OpenLineage's own listener hears of every transfer, in a real run.

Run by ``test_lineage.py`` alone, in a process whose OpenLineage writes to a file: Airflow chooses listeners
when it starts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.providers.openlineage.plugins.listener import get_openlineage_listener
from airflow.sdk import DAG, chain

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from airflow_provider_twilio_comms.operators.resend_failed import TwilioResendFailedOperator
from airflow_provider_twilio_comms.transfers.messages_to_object_storage import (
    TwilioMessagesToObjectStorageOperator,
)
from airflow_provider_twilio_comms.transfers.messages_to_sql import TwilioMessagesToSqlOperator
from airflow_provider_twilio_comms.transfers.object_storage_to_twilio import ObjectStorageToTwilioOperator
from airflow_provider_twilio_comms.transfers.sql_to_twilio import SqlToTwilioOperator
from airflow_provider_twilio_comms.transfers.usage_records_to_object_storage import (
    TwilioUsageRecordsToObjectStorageOperator,
)
from tests.transfers.logged import bounds, day, log

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres

NUMBERS = [f"+1202555010{n}" for n in range(4)]
UNLUCKY = "+12025559003"  # fails with 30003, which a retry may fix
SEND: dict[str, Any] = {"content": "Hello", "sender": "+15005550006", "wait_for": "accepted"}
HASTY = {"deferrable": True, "poll_interval": 0.2, "initial_delay": 0}


def transfers(folder: Path) -> None:
    """One of each, in the DAG that is being made."""
    people, receipts = str(folder / "people.csv"), str(folder / "receipts.jsonl")
    table = {"sql_conn_id": "bookings", "create_table": True}
    bulk = TwilioBulkMessageOperator(task_id="bulk", recipients=people, **SEND)
    chain(
        SqlToTwilioOperator(
            task_id="sql",
            sql=f"SELECT phone FROM guests WHERE phone != '{NUMBERS[0]}' ORDER BY phone",
            sql_conn_id="bookings",
            **SEND,
        ),
        ObjectStorageToTwilioOperator(
            task_id="files",
            path=people,
            **{**SEND, "wait_for": "processed", "max_failed": 1.0, **HASTY},
        ),
        bulk,
        TwilioReceiptsOperator(task_id="receipts", operation_ids=bulk.output, output_path=receipts),
        TwilioReceiptsOperator(
            task_id="receipts_sql", operation_ids=bulk.output, table="shop.receipts", **table
        ),
        TwilioResendFailedOperator(task_id="again", receipts=receipts, recipients=people, **SEND),
        TwilioMessagesToSqlOperator(task_id="log_sql", table="twilio_messages", **table, **bounds(2)),
        TwilioMessagesToObjectStorageOperator(task_id="log", output_path=str(folder / "log"), **bounds(2)),
        TwilioUsageRecordsToObjectStorageOperator(
            task_id="usage",
            output_path=str(folder / "usage"),
            category="sms-outbound",
            file_format="jsonl",
            **bounds(2),
        ),
    )


def heard() -> dict[str, Any]:
    """The event of each task's success: inputs, outputs, how many rows went there."""
    lines = Path(os.environ["OPENLINEAGE__TRANSPORT__LOG_FILE_PATH"]).read_text().splitlines()
    events = [json.loads(line) for line in lines]
    found = {}
    for event in events:
        task = event["job"]["name"].partition(".")[2]
        if event["eventType"] == "COMPLETE" and task:
            (output,) = event["outputs"]
            found[task] = (
                [(each["namespace"], each["name"]) for each in event["inputs"]],
                (output["namespace"], output["name"]),
                output["outputFacets"]["outputStatistics"]["rowCount"],
            )
    return found


def test_the_listener_hears_of_every_transfer(
    emulator: Running, postgres: Postgres, run_dag: Callable[..., DagRun], tmp_path: Path
) -> None:
    (tmp_path / "people.csv").write_text("\n".join(["phone", *NUMBERS, UNLUCKY]))
    postgres.execute("DROP TABLE IF EXISTS guests; CREATE SCHEMA shop")
    postgres.execute(f"CREATE TABLE guests AS SELECT unnest(ARRAY{NUMBERS}) AS phone")
    log(emulator, *(day(2, hour) for hour in range(6)))
    emulator.twilio.change(pace=0.0)
    with DAG("lineage", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
        transfers(tmp_path)
    assert run_dag(dag).state == "success"
    get_openlineage_listener().before_stopping(None)  # its processes hold our pipes open
    account = f"twilio://{json.loads(emulator.connection)['login']}"
    database = f"postgres://127.0.0.1:{postgres.port}"
    file, messages = ("file", str(tmp_path / "people.csv")), (account, "messages")
    found = heard()
    (operation,) = found["receipts"][0]
    assert operation[0] == account
    assert operation[1].startswith("operations/comms_operation_")
    assert found == {
        "sql": ([(database, "postgres.public.guests")], messages, 3),
        "files": ([file], messages, 5),
        "bulk": ([file], messages, 5),
        "receipts": ([operation], ("file", str(tmp_path / "receipts.jsonl")), 5),
        "receipts_sql": ([operation], (database, "postgres.shop.receipts"), 5),
        "again": ([("file", str(tmp_path / "receipts.jsonl")), file], messages, 1),
        "log_sql": ([messages], (database, "postgres.public.twilio_messages"), 6),
        "log": ([messages], ("file", str(tmp_path / "log")), 6),
        "usage": ([(account, "usage_records")], ("file", str(tmp_path / "usage")), 1),
    }
    told = Path(os.environ["OPENLINEAGE__TRANSPORT__LOG_FILE_PATH"]).read_text()
    assert not [number for number in (*NUMBERS, UNLUCKY) if number[1:] in told]
