"""A million people from a real PostgreSQL: the transfer beside the least that could be done, and beside a
loop with Twilio's own package.
"""

from __future__ import annotations

import json
import os
from typing import Any

from tests.bench.measure import Cost, emulator, measured, paired, report
from tests.postgres import installed, postgres_running

__all__ = ["run"]

COUNT = 1_000_000
SAMPLE = 5_000  # messages of the loop, which takes one request for each
CONTENT = "Hello {{ name }}, your order {{ order_no }} comes on {{ day }}."
SENDER = "+15005550006"
TABLE = """
CREATE TABLE people AS SELECT
    n AS id, '+1555' || lpad(n::text, 7, '0') AS phone, 'Person ' || n AS name, n AS order_no,
    date '2027-01-01' + (n % 7) AS day
FROM generate_series(1, {count}) n;
ALTER TABLE people ADD PRIMARY KEY (id);
VACUUM ANALYZE people;
"""
SQL = "SELECT phone, name, order_no, day FROM people ORDER BY id"


def connections(url: str, port: int) -> None:
    from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

    os.environ["AIRFLOW_CONN_PEOPLE"] = f"postgres://postgres@127.0.0.1:{port}/postgres"
    os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"] = json.dumps(
        {
            "conn_type": "twilio",
            "login": ACCOUNT_SID,
            "password": AUTH_TOKEN,
            "extra": {"base_url": f"{url}/{{product}}"},
        }
    )


def floor(url: str, port: int) -> Cost:
    """A server-side cursor of the same driver, 10,000 rows at a time, each encoded once and posted."""
    import msgspec
    import requests
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

    connections(url, port)

    def work(sql: str = SQL) -> None:
        connection: Any = PostgresHook("people").get_conn()
        with requests.Session() as session, connection.cursor(name="bare") as cursor:
            cursor.execute(sql)
            while rows := cursor.fetchmany(10_000):
                body = msgspec.json.encode(
                    {
                        "from": {"address": SENDER, "channel": "SMS"},
                        "to": [
                            {
                                "address": phone,
                                "channel": "PHONE",
                                "variables": {"name": name, "order_no": str(order), "day": day.isoformat()},
                            }
                            for phone, name, order, day in rows
                        ],
                        "content": {"text": CONTENT},
                    }
                )
                reply = session.post(
                    f"{url}/comms/v1/Messages",
                    data=body,
                    headers={"Content-Type": "application/json"},
                    auth=(ACCOUNT_SID, AUTH_TOKEN),
                    timeout=60,
                )
                assert reply.status_code == 202, reply.text
        connection.close()

    work(f"{SQL} LIMIT 10")
    return measured(work)


def transfer(url: str, port: int) -> Cost:
    """The operator."""
    from airflow_provider_twilio_comms.transfers.sql_to_twilio import SqlToTwilioOperator
    from tests.fakes import MemoryStore, context

    connections(url, port)

    def send(sql: str = SQL) -> None:
        task = SqlToTwilioOperator(
            task_id="send",
            sql=sql,
            sql_conn_id="people",
            number_column="phone",
            content=CONTENT,
            sender=SENDER,
            wait_for="accepted",
        )
        task.execute(context(MemoryStore(), run_id=str(len(sql))))

    send(f"{SQL} LIMIT 10")  # imports and connections are not the send's cost
    return measured(send)


def official(url: str, port: int) -> Cost:
    """The code that people write by hand: a cursor, and ``client.messages.create`` for each row."""
    from urllib.parse import urlsplit, urlunsplit

    import psycopg2
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client

    from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

    class Local(TwilioHttpClient):
        def request(self, method: str, url_: str, *args: Any, **kwargs: Any) -> Any:
            path = urlsplit(url_)
            here = urlsplit(url)
            moved = urlunsplit((here.scheme, here.netloc, f"/api{path.path}", path.query, ""))
            return super().request(method, moved, *args, **kwargs)

    client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=Local())

    def work(count: int = SAMPLE) -> None:
        connection = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres")
        with connection.cursor() as cursor:
            cursor.execute(f"{SQL} LIMIT {count}")
            for phone, name, order, day in cursor:
                body = f"Hello {name}, your order {order} comes on {day.isoformat()}."
                assert client.messages.create(to=phone, from_=SENDER, body=body).sid
        connection.close()

    work(5)
    return measured(work)


def run(times: int = 3) -> dict[str, float]:
    """Measure, print, and return the lines for machines."""
    if installed() is None:
        print("\nSQL: skipped, no PostgreSQL server is installed")
        return {}
    with postgres_running() as postgres:
        postgres.execute(TABLE.format(count=COUNT).rpartition("VACUUM")[0])
        with emulator("--null-sink") as url:
            pair = paired(transfer, floor, times, url, postgres.port)
        with emulator() as url:
            loop = paired(official, official, 1, url, postgres.port)
    best = min(pair.ours, key=lambda cost: cost.wall)
    hand = min((*loop.ours, *loop.floor), key=lambda cost: cost.wall)
    ours_per_s, hand_per_s = COUNT / best.wall, SAMPLE / hand.wall
    ours = f"{_cost(pair.ours)}  ratio {pair.cpu_ratio:.2f}"
    report(
        f"SQL: {COUNT:,} rows with three variables from PostgreSQL, to the emulator's null sink",
        f"CPU of the client process, peak RSS over the start, {COUNT // 10_000} requests; {times} pairs, the "
        "median ratio",
        {
            "bare (named cursor, msgspec, requests)": _cost(pair.floor),
            "SqlToTwilioOperator": f"{ours}  {ours_per_s:,.0f} rows/s",
            f"the twilio package, {SAMPLE:,} rows and requests": f"{_cost([hand])}  {hand_per_s:,.0f} rows/s",
        },
    )
    return {
        "sql_rows_per_s": round(ours_per_s),
        "sql_peak_mib": round(pair.peak_mib, 1),
        "sql_vs_official_ratio": round(ours_per_s / hand_per_s, 1),
        "sql_vs_bare_cpu_ratio": round(pair.cpu_ratio, 3),
    }


def _cost(costs: list[Cost]) -> str:
    best = min(costs, key=lambda cost: cost.cpu)
    peak = max(cost.peak_mib for cost in costs)
    return f"{best.cpu:6.2f} s CPU {best.wall:6.2f} s wall {peak:6.1f} MiB"
