"""A million customers from a real PostgreSQL into a memory store, beside the least that could be done.

``$PROFILES_ROWS`` makes it fewer.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.measure import Cost, emulator, measured, paired, report
from tests.bench.sql import TABLE, connections
from tests.postgres import installed, postgres_running

__all__ = ["run"]

COUNT = int(os.environ.get("PROFILES_ROWS", "1000000"))
SQL = "SELECT id, phone, name, order_no, day FROM people"
TRAITS = {
    "phone": "Contact.phone",
    "name": "Contact.firstName",
    "order_no": "Contact.postalCode",
    "day": "Contact.dob",
}


def a_store(url: str) -> str:
    import requests

    made = requests.post(f"{url}/_emulator/people", json={"count": 0}, timeout=30).json()
    return str(made["storeId"])


def floor(url: str, port: int) -> Cost:
    """A server-side cursor of the same driver, 1,000 rows at a time, each encoded once and posted."""
    import msgspec
    import requests
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

    connections(url, port)
    store = a_store(url)

    def work(sql: str = f"{SQL} ORDER BY id") -> None:
        connection: Any = PostgresHook("people").get_conn()
        with requests.Session() as session, connection.cursor(name="bare") as cursor:
            cursor.execute(sql)
            while rows := cursor.fetchmany(1000):
                profiles = [
                    {
                        "traits": {
                            "Contact": {
                                "phone": phone,
                                "firstName": name,
                                "postalCode": str(order),
                                "dob": day.isoformat(),
                            }
                        }
                    }
                    for _, phone, name, order, day in rows
                ]
                reply = session.put(
                    f"{url}/memory/v1/Stores/{store}/Profiles/Bulk",
                    data=msgspec.json.encode({"profiles": profiles}),
                    headers={"Content-Type": "application/json"},
                    auth=(ACCOUNT_SID, AUTH_TOKEN),
                    timeout=60,
                )
                assert reply.status_code == 202, reply.text
        connection.close()

    work(f"{SQL} LIMIT 10")
    return measured(work)


def transfer(url: str, port: int) -> Cost:
    """The operator: every row checked, hashed, sent and noted, with the hashes in a file."""
    from airflow_provider_twilio_comms.transfers.sql_to_twilio_profiles import SqlToTwilioProfilesOperator
    from tests.fakes import MemoryStore, context

    connections(url, port)
    store = a_store(url)

    def load(sql: str = SQL) -> None:
        with tempfile.TemporaryDirectory() as folder:
            task = SqlToTwilioProfilesOperator(
                task_id="load",
                sql=sql,
                sql_conn_id="people",
                resume_column="id",
                store_id=store,
                traits=TRAITS,
                hashes_path=str(Path(folder) / "people.hashes"),
            )
            task.execute(context(MemoryStore()))

    load(f"{SQL} LIMIT 10")  # imports and connections are not the load's cost
    return measured(load)


def run(times: int = 1) -> dict[str, float]:
    """Measure, print, and return the lines for machines."""
    if installed() is None:
        print("\nProfiles: skipped, no PostgreSQL server is installed")
        return {}
    with postgres_running() as postgres, emulator("--null-sink") as url:
        postgres.execute(TABLE.format(count=COUNT).rpartition("VACUUM")[0])
        pair = paired(transfer, floor, times, url, postgres.port)
    best = min(pair.ours, key=lambda cost: cost.wall)
    report(
        f"Profiles: {COUNT:,} rows with four traits from PostgreSQL, to the emulator's null sink",
        f"CPU of the client process, peak RSS over the start, bulks of 1,000; {times} pairs",
        {
            "bare (named cursor, msgspec, requests)": _cost(pair.floor),
            "SqlToTwilioProfilesOperator": f"{_cost(pair.ours)}  ratio {pair.cpu_ratio:.2f}",
        },
    )
    return {
        "profiles_rows_per_s": round(COUNT / best.wall),
        "profiles_cpu_ratio": round(pair.cpu_ratio, 3),
        "profiles_peak_mib": round(pair.peak_mib, 1),
    }


def _cost(costs: list[Cost]) -> str:
    best = min(costs, key=lambda cost: cost.cpu)
    return f"{best.cpu:6.2f} s CPU {best.wall:6.2f} s wall {max(cost.peak_mib for cost in costs):6.1f} MiB"
