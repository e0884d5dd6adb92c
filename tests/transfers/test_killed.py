"""A worker that is killed while it copies the message log, and the try after it: every row once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyarrow import parquet

from tests.conftest import environment
from tests.forked import FORKED
from tests.operators.killed_worker import FileStore
from tests.transfers.logged import bounds, day, log

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres

COUNT = 4500  # in five pages


class _Deadly(FileStore):
    """Kills its process when the third page is in, before or after that is noted."""

    moment = "nowhere"

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        third = value.get("pages") == 3
        if third and self.moment == "before the note":
            os.kill(os.getpid(), signal.SIGKILL)
        super().set(key, value, retention=retention)
        if third and self.moment == "after the note":
            os.kill(os.getpid(), signal.SIGKILL)


def attempt(connections: dict[str, str], place: dict[str, Any], store: str, moment: str = "nowhere") -> Any:
    """A try, in this process."""
    from airflow_provider_twilio_comms.transfers.messages_to_object_storage import (
        TwilioMessagesToObjectStorageOperator,
    )
    from airflow_provider_twilio_comms.transfers.messages_to_sql import TwilioMessagesToSqlOperator
    from tests.fakes import context

    kind = TwilioMessagesToSqlOperator if "table" in place else TwilioMessagesToObjectStorageOperator
    notes = _Deadly(Path(store))
    notes.moment = moment
    with environment(**connections):
        return kind(task_id="log", **bounds(3), **place).execute(context(notes))


def killed(*arguments: Any) -> None:
    victim = FORKED.Process(target=attempt, args=arguments)
    victim.start()
    victim.join(120)
    assert victim.exitcode == -signal.SIGKILL


def asked(emulator: Running) -> int:
    return sum(count for route, count in emulator.twilio.journal.counts.items() if "Messages" in route)


@pytest.mark.parametrize(("moment", "pages"), [("before the note", 3), ("after the note", 2)])
def test_a_file_is_there_whole_or_not_at_all(
    emulator: Running, tmp_path: Path, moment: str, pages: int
) -> None:
    log(emulator, *(day(3, n / 200) for n in range(COUNT)))
    connections = {"AIRFLOW_CONN_TWILIO_DEFAULT": emulator.connection}
    given = (connections, {"output_path": str(tmp_path / "log")}, str(tmp_path / "store"))
    killed(*given, moment)
    assert not list(tmp_path.glob("log/*.parquet"))
    before = asked(emulator)
    assert attempt(*given)["rows"] == COUNT
    assert asked(emulator) - before in (pages, pages + 1)  # the dead one's last request may come late
    (file,) = tmp_path.glob("log/*.parquet")
    sids = parquet.read_table(file).column("sid").to_pylist()
    assert len(sids) == len(set(sids)) == COUNT
    assert not list(tmp_path.glob("log/_staging/*"))


@pytest.mark.parametrize(("moment", "pages"), [("before the note", 3), ("after the note", 2)])
def test_a_table_has_every_row_once(
    emulator: Running, postgres: Postgres, tmp_path: Path, moment: str, pages: int
) -> None:
    log(emulator, *(day(3, n / 200) for n in range(COUNT)))
    postgres.execute("DROP TABLE IF EXISTS killed_log")
    connections = {
        "AIRFLOW_CONN_TWILIO_DEFAULT": emulator.connection,
        "AIRFLOW_CONN_BOOKINGS": postgres.connection,
    }
    place = {"sql_conn_id": "bookings", "table": "killed_log", "create_table": True}
    given = (connections, place, str(tmp_path / "store"))
    killed(*given, moment)
    assert postgres.execute("SELECT count(*) FROM killed_log") == [(3000,)]
    before = asked(emulator)
    assert attempt(*given)["rows"] == COUNT
    assert asked(emulator) - before in (pages, pages + 1)
    assert postgres.execute("SELECT count(*), count(DISTINCT sid) FROM killed_log") == [(COUNT, COUNT)]
