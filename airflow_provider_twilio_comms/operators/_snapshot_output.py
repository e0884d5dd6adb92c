"""Write the ids of a snapshot's profiles to a file or a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_twilio_comms._core.profiles.cohorts import read_members
from airflow_provider_twilio_comms._tasks.sql_loading import loading
from airflow_provider_twilio_comms._tasks.table_files import Table, write_tables

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook


class Member(msgspec.Struct):
    """A profile in a snapshot."""

    profile_id: str
    cohort_snapshot_id: str


def write_members(
    hook: TwilioHook,
    snapshot_id: str,
    output_path: str | None,
    conn_id: str | None,
    table: str | None,
    create: bool,
) -> int:
    """Write them, several partitions read together; returns their number."""
    with _opened(output_path, conn_id, table, create) as write:

        def take(ids: list[str]) -> None:
            if ids:
                write([Member(each, snapshot_id) for each in ids])

        return hook.run(read_members(snapshot_id, take))


@contextmanager
def _opened(
    output_path: str | None, conn_id: str | None, table: str | None, create: bool
) -> Iterator[Callable[[Sequence[Member]], None]]:
    if output_path:
        with write_tables(output_path) as write:
            yield lambda rows: write(Table.of(rows, kind=Member))
        return
    with loading(conn_id or "", table or "", Member, "profile_id", create=create) as load:
        yield load
