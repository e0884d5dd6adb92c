"""What a task tells others when it is done: counts on its assets' events, and lineage for OpenLineage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.sdk import Context

Name = tuple[str, str]  # an OpenLineage data set: its namespace and name


def announced(context: Context, outlets: Iterable[Any], extra: Mapping[str, Any]) -> None:
    """Put counts on the events of the task's outlets, so that a DAG can start on them and read them.

    ``extra`` is stored by Airflow in the clear: counts, ids and paths only.
    """
    from airflow.sdk import Asset

    events = context.get("outlet_events")
    for outlet in outlets:
        if isinstance(outlet, Asset) and events is not None:
            events[outlet].extra.update(dict(extra))


def dataset_of_file(path: str) -> Name:
    """How OpenLineage names a file: ``s3://bucket`` and its key, ``file`` and its path."""
    parts = urlsplit(path)
    if parts.scheme in ("", "file"):
        return "file", parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path.lstrip("/") or "/"


def dataset_of_table(conn_id: str, table: str) -> Name:
    """How OpenLineage names a table; as far as a connection tells, where its provider cannot say."""
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
    """What OpenLineage wants to hear of a transfer, or None where its provider is not installed."""
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
