"""Asset events and OpenLineage: the counts and the lineage that a task tells others when it is done."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.sdk import Context

log: logging.Logger = logging.getLogger(__name__)

Name = tuple[str, str]  # an OpenLineage data set: its namespace and name
PARTITION = "%Y-%m-%dT%H:%M:%S"


def announced(context: Context, outlets: Iterable[Any], extra: Mapping[str, Any]) -> None:
    """Put counts on the events of the task's outlets, so that a DAG can start on them and read them.

    ``extra`` is stored by Airflow in the clear: counts, ids and paths only. The event of an asset whose own
    ``extra`` has ``{"partition": "data_interval"}`` carries the run's data interval as its partition. Not
    those of others: Airflow starts no DAG by an event with a partition that is not scheduled by partitions.
    """
    from airflow.sdk import Asset

    events = context.get("outlet_events")
    for outlet in outlets:
        if isinstance(outlet, Asset) and events is not None:
            events[outlet].extra.update(dict(extra))
            if (outlet.extra or {}).get("partition") == "data_interval":
                _add_partition(context, events[outlet])


def _add_partition(context: Context, event: Any) -> None:
    """Name the start of the run's data interval as an event's partition, unless the run has one of its own.

    The form is that of Airflow's ``CronPartitionTimetable`` and of what its mappers read by default.
    """
    run: Any = context.get("dag_run")
    if getattr(run, "partition_key", None):
        return  # Airflow puts it on the event
    start = getattr(run, "data_interval_start", None)
    if start is None or not hasattr(event, "add_partitions"):
        log.warning(
            "The events of this task's outlets have no partition: %s",
            "the run has no data interval" if start is None else "Airflow 3.3 or later is needed for that",
        )
        return
    event.add_partitions(start.astimezone(timezone.utc).strftime(PARTITION))


def dataset_of_file(path: str) -> Name:
    """Name a file as OpenLineage does: ``s3://bucket`` and its key, ``file`` and its path."""
    parts = urlsplit(path)
    if parts.scheme in ("", "file"):
        return "file", parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path.lstrip("/") or "/"


def dataset_of_table(conn_id: str, table: str) -> Name:
    """Name a table as OpenLineage does; as far as a connection tells, if its provider cannot say."""
    from airflow.sdk import BaseHook

    from airflow_provider_twilio_comms._tasks.sql import Query, tables

    named = tables(Query(f"SELECT * FROM {table}", conn_id))
    if named:
        return named[0]
    found = BaseHook.get_connection(conn_id)
    host = f"{found.host}:{found.port}" if found.port else found.host or ""
    schema = f"{found.schema}." if found.schema and found.conn_type != "sqlite" else ""
    return f"{found.conn_type}://{host}", f"{schema}{table}"


def lineage(inputs: Iterable[Name], outputs: Iterable[Name], rows: int | None) -> Any:
    """Build the lineage of a transfer; None if OpenLineage's provider is not installed."""
    try:
        from airflow.providers.common.compat.openlineage.facet import (
            Dataset,
            OutputDataset,
            OutputStatisticsOutputDatasetFacet,
        )
        from airflow.providers.openlineage.extractors import OperatorLineage
    except ImportError:
        return None
    counted = {} if rows is None else {"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=rows)}
    return OperatorLineage(
        inputs=[Dataset(namespace=namespace, name=name) for namespace, name in inputs],
        outputs=[
            OutputDataset(namespace=namespace, name=name, outputFacets=dict(counted))
            for namespace, name in outputs
        ],
    )
