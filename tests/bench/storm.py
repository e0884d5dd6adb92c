"""A storm of 1,000 alerts at once on a real Airflow with PostgreSQL: how many texts, and how long each waits.

Eight task processes tell of 125 failures each. Two schedulers run them, with eight workers each as on two
hosts: fewer might not run them together, since a scheduler of Airflow 3.3 queues more tasks than it has
workers. The store is Airflow's Variables, then a database.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from tests.bench.measure import report

__all__ = ["run"]

ALERTS = 1000
PROCESSES = 8
LIMIT = 6  # texts in an hour: one of the storm with one key, five of those with forty


class Storm(NamedTuple):
    """One storm: the texts it made, the seconds of each callback, and what it asked of its store."""

    texts: int
    seconds: list[float]
    operations: float  # of the store, an alert

    def __str__(self) -> str:
        texts = f"{self.texts} text{'s' if self.texts > 1 else ' '}"
        waited = f"slowest callback {max(self.seconds):5.1f} s, half of them {median(self.seconds):5.1f} s"
        return f"{texts}  {waited}  {self.operations:.2f} operations an alert"


class Field(NamedTuple):
    """The stack and the database that storms are let loose on."""

    stack: Any
    postgres: Any
    folder: Path

    def storm(
        self, name: str, number: int, *, keys: int = 1, at_once: bool = True, alert_store: str = ""
    ) -> Storm:
        """Run one storm to its end; it is told to one person, whose number nobody else has."""
        from tests.stack.alerts import texts

        to = f"+1202555018{number}"
        conf = {
            "name": name,
            "to": to,
            "keys": keys,
            "at_once": at_once,
            "alert_store": alert_store,
            "max_per_hour": LIMIT if at_once else None,
        }
        before = self.transactions()
        run_id = self.stack.airflow.trigger("bench_storm", conf=conf)
        state = self.stack.airflow.wait_for_run("bench_storm", run_id, timeout=400)
        if state != "success":
            raise RuntimeError(self.stack.airflow.log("bench_storm", run_id, "storm", map_index=0)[-3000:])
        done = [json.loads(path.read_text()) for path in self.folder.glob(f"{name}-done-*")]
        seconds = [each for one in done for each in one["seconds"]]
        assert len(seconds) == ALERTS
        operations = self.transactions() - before if alert_store else sum(one["operations"] for one in done)
        return Storm(len(texts(self.stack.emulator, to)), seconds, operations / ALERTS)

    def transactions(self) -> int:
        """Of the database of alerts: each statement is one, and so is a new connection."""
        ((count,),) = self.postgres.execute(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'alerts'"
        )
        return int(count)


def run() -> dict[str, float]:
    """Measure and print."""
    from airflow_provider_twilio_comms.demo.stack import Stack
    from tests.postgres import postgres_running

    with tempfile.TemporaryDirectory() as home, postgres_running() as postgres:
        folder, dags = Path(home) / "storm", Path(home) / "dags"
        folder.mkdir()
        dags.mkdir()
        shutil.copy(Path(__file__).parent / "dags" / "bench_storm.py", dags)
        postgres.create_database("alerts")
        server = f"postgres@127.0.0.1:{postgres.port}"
        env = {
            "AIRFLOW__CORE__PARALLELISM": str(PROCESSES),
            "AIRFLOW_CONN_ALERTS": f"postgres://{server}/alerts",
            "BENCH_STORM": str(folder),
        }
        with Stack(
            dags,
            env=env,
            sql_alchemy_conn=f"postgresql+psycopg2://{server}/postgres",
            further={"scheduler-2": ["scheduler"]},
        ) as stack:
            stack.airflow.wait_for_dag("bench_storm")
            field = Field(stack, postgres, folder)
            variables = field.storm("variables", 1)
            hour = field.storm("variables-hour", 2, keys=40)
            alone = field.storm("variables-alone", 3, at_once=False)
            table = field.storm("table", 4, alert_store="alerts")
            table_hour = field.storm("table-hour", 5, keys=40, alert_store="alerts")
    report(
        f"Storm: {ALERTS} alerts from {PROCESSES} task processes of two schedulers, with PostgreSQL",
        f"one key, then forty, of which max_per_hour={LIMIT} lets {LIMIT - 1} more through",
        {
            "Variables, at once": str(variables),
            "Variables, at once, 40 keys": str(hour),
            "Variables, 125 one after the other": str(alone),
            "database, at once": str(table),
            "database, at once, 40 keys": str(table_hour),
        },
    )
    assert variables.texts == alone.texts == table.texts == 1
    assert hour.texts == table_hour.texts == LIMIT - 1
    return {
        "storm_1000_texts": variables.texts,
        "storm_1000_slowest_s": round(max(variables.seconds + hour.seconds), 1),
        "storm_ops_per_alert": round(alone.operations, 2),
        "storm_shared_ops_per_alert": round(variables.operations, 2),
        "storm_hour_ops_per_alert": round(hour.operations, 2),
        "storm_database_1000_texts": table.texts,
        "storm_database_1000_slowest_s": round(max(table.seconds + table_hour.seconds), 1),
        "storm_database_ops_per_alert": round(table.operations, 2),
        "storm_database_hour_ops_per_alert": round(table_hour.operations, 2),
    }
